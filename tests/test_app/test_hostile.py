"""Whatever is sent is refused or served, and the page goes on."""
import io
import json
import os
import struct
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import tifffile

from mmsart.app.guard import COOKIE
from mmsart.app.limits import Limits
from mmsart.app.server import create_app
from mmsart.app.workspace import Workspace
from mmsart.formats.names import OWN_FOLDER
from mmsart.utils import MissingFileError
from tests.test_app.conftest import Client, png
from tests.test_app.fakes import DiscSegmenter, draw_discs
from tests.test_imaging.ome_sets import write_set

ADDRESS = 'http://127.0.0.1:8577'


def test_paths_stay_inside_the_folders(client, pictures, tmp_path):
    outside = tmp_path / 'secret'
    outside.mkdir()
    cv2.imwrite(str(outside / 'secret.png'), draw_discs()[0])
    (pictures / 'link').symlink_to(outside)
    (pictures / 'linked.png').symlink_to(outside / 'secret.png')
    for path in (outside, f'{pictures}/../secret', f'{pictures}/link', '/', '/etc', '~', '\0',
                 f'{pictures}/../pictures/../secret', 'x' * 9_000):
        for answer in (client.get('/api/folders', params=dict(path=str(path))),
                       client.post('/api/folders', json=dict(path=str(path)))):
            assert answer.status_code == 400, path
            assert 'outside' in answer.json()['detail']
    listing = client.get('/api/folders').json()
    assert listing['parent'] is None
    assert (listing['folders'], len(listing['images'])) == ([], 3)
    assert client.post('/api/folders', json=dict(path=str(pictures), recursive=True)
                       ).json()['added'] == 3
    for path in ('/static/../server.py', '/static/%2e%2e/server.py', '/static//etc/passwd',
                 '/api/items/..%2f..%2fqueue.json/thumbnail', '/api/items/../state'):
        assert client.get(path).status_code in (200, 404)
        assert b'create_app' not in client.get(path).content
    with pytest.raises(MissingFileError):
        create_app(Workspace(tmp_path / 'w'), DiscSegmenter(), folders=[tmp_path / 'none'])


def test_two_gigabytes_are_refused_before_they_are_sent(client, tmp_path):
    sent = []

    def body():
        for _ in range(2048):
            sent.append(1)
            yield bytes(1 << 20)

    answer = client.post('/api/files?name=large.tif', content=body(),
                         headers={'content-length': str(2 << 30)})
    assert answer.status_code == 413
    assert 'expected at most' in answer.text
    assert list((tmp_path / 'workspace/incoming').iterdir()) == []


def test_a_body_without_a_length_ends_at_the_limit(tmp_path):
    app = create_app(Workspace(tmp_path / 'w'), DiscSegmenter(), folders=[tmp_path],
                     limits=Limits(upload_bytes=5 << 20, json_bytes=1 << 10))
    with Client(app) as client:
        answer = client.post('/api/files?name=large.tif',
                             content=(bytes(1 << 20) for _ in range(50)))
        assert answer.status_code == 413
        assert list((tmp_path / 'w/incoming').iterdir()) == []
        answer = client.post('/api/queue', content=(b' ' * 999 for _ in range(9)))
        assert answer.status_code == 413
        assert client.post('/api/queue', content=b'x' * 2_000).status_code == 413


@pytest.mark.parametrize(('name', 'data', 'problem'), [
    ('program.png', b'\x7fELF\x02\x01\x01' + bytes(500), 'no image of a known format'),
    ('program.tif', b'MZ\x90\0' + bytes(500), 'no image of a known format'),
    ('program.exe', png(draw_discs()[0]), 'found the ending'),
    ('page.svg', b'<svg onload="alert(1)"/>', 'found the ending'),
    ('empty.png', b'', 'empty file'),
    ('cut.png', png(draw_discs()[0])[:40], ''),
    ('none', png(draw_discs()[0]), 'found the ending'),
    ('..', png(draw_discs()[0]), 'expected a name')],
    ids=['elf', 'exe-as-tiff', 'exe', 'svg', 'empty', 'cut', 'no-ending', 'dots'])
def test_what_is_no_image_is_refused(client, tmp_path, name, data, problem):
    answer = client.add(name, data)
    if answer.status_code == 200:  # a header that is whole: it fails when it is looked at
        assert client.wait()[0]['state'] == 'failed'
    else:
        assert answer.status_code == 400
        assert problem in answer.json()['detail']
        assert str(tmp_path) not in answer.json()['detail']
        assert client.state()['items'] == []
    assert list((tmp_path / 'workspace/incoming').iterdir()) == []


def test_a_header_that_claims_a_large_image_is_refused_unread(client):
    def chunk(kind, data):
        return (struct.pack('>I', len(data)) + kind + data
                + struct.pack('>I', zlib.crc32(kind + data)))

    header = struct.pack('>IIBBBBB', 60_000, 60_000, 8, 0, 0, 0, 0)
    bomb = (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header)
            + chunk(b'IDAT', zlib.compress(bytes(60_000))) + chunk(b'IEND', b''))
    answer = client.add('bomb.png', bomb)
    assert answer.status_code == 400
    assert '3,600 megapixels' in answer.json()['detail']


def test_a_file_shows_no_other_of_the_computer(client, tmp_path):
    secret = tmp_path / 'secret.tif'
    tifffile.imwrite(secret, draw_discs()[0])
    write_set(tmp_path / 'sent.tif', draw_discs(seed=1)[0], {'sent.tif': 1, str(secret): 2},
              [['sent.tif', str(secret)]])
    answer = client.add('sent.tif', (tmp_path / 'sent.tif').read_bytes())
    assert (answer.status_code, client.state()['items']) == (400, [])
    assert answer.json()['detail'].startswith('sent.tif: found that it names')


@pytest.mark.parametrize(('name', 'shown'), [
    ('../../../etc/passwd.png', 'passwd.png'), ('/etc/passwd.png', 'passwd.png'),
    ('p1/\x00A1.png', 'p1/A1.png'), ('p1//A1.png', 'A1.png'), ('C:\\temp\\x.png', 'x.png'),
    ('<img src=x onerror=alert(1)>.png', '<img src=x onerror=alert(1)>.png'),
    ('a\x00b\n\u202egpj.png', 'abgpj.png'), ('é' * 400 + '.png', 'é' * 196 + '.png')],
    ids=['path', 'absolute', 'below-a-folder', 'hole', 'windows', 'script', 'control', 'long'])
def test_names_are_names(client, tmp_path, name, shown):
    client.add(name, png(draw_discs()[0])).raise_for_status()
    item, = client.wait()
    assert (item['name'], item['state']) == (shown, 'done')
    files = [path.name for path in (tmp_path / 'workspace/items/000001').iterdir()]
    assert sorted(files) == ['item.json', 'run_0', 'source.png']
    archive = client.post('/api/export', json=dict(items='all', formats=['table', 'outlines']))
    assert archive.status_code == 200
    for part in zipfile.ZipFile(io.BytesIO(archive.content)).namelist():
        assert not set(part.removeprefix(f'{OWN_FOLDER}/')) & set('/\\<>:|?*')


def test_a_hundred_requests_at_once(client, done):
    image = png(draw_discs()[0])

    def ask(number):
        kind = number % 5
        if kind == 0:
            return client.add(f'{number}.png', image).status_code
        if kind == 1:
            return client.post(f'/api/items/{done}/frames/0/cells', json={}).status_code
        if kind == 2:
            return client.get(f'/api/items/{done}/frames/0/tiles/0/0/0').status_code
        if kind == 3:
            return client.get('/api/state').status_code
        return client.post(f'/api/items/{done}/frames/0/edits',
                           json=dict(kind=('undo', 'redo')[number % 2])).status_code

    with ThreadPoolExecutor(100) as pool:
        assert set(pool.map(ask, range(100))) == {200}
    items = client.wait()
    assert [item['state'] for item in items] == ['done'] * 21
    assert len({item['id'] for item in items}) == 21


def test_other_sites_cannot_ask(client, done):
    """DNS rebinding comes with another host name, CSRF with another origin."""
    for host in ('evil.example', 'evil.example:8577', '127.0.0.1.evil.example',
                 '[::2]:8577', '192.168.0.1', '0.0.0.0', ''):
        assert client.get('/api/state', headers=dict(host=host)).status_code == 403
    for host in ('127.0.0.1:8577', 'localhost:8577', 'localhost', '[::1]:8577', '[::1]'):
        assert client.get('/api/state', headers=dict(host=host)).status_code == 200
    for headers in ({'origin': 'http://evil.example'}, {'origin': 'null'},
                    {'origin': 'http://127.0.0.1:9999'}, {'sec-fetch-site': 'cross-site'},
                    {'sec-fetch-site': 'same-site'}):
        assert client.post('/api/queue', json=dict(action='clear'), headers=headers
                           ).status_code == 403
        assert client.delete(f'/api/items/{done}', headers=headers).status_code == 403
    same = {'origin': ADDRESS, 'sec-fetch-site': 'same-origin'}
    assert client.post('/api/queue', json=dict(action='pause'), headers=same).status_code == 200
    answer = client.get('/')
    assert "default-src 'self'" in answer.headers['content-security-policy']
    assert answer.headers['x-content-type-options'] == 'nosniff'
    assert 'access-control-allow-origin' not in answer.headers


def test_a_token_is_asked_for(tmp_path):
    app = create_app(Workspace(tmp_path / 'w'), DiscSegmenter(), folders=[tmp_path],
                     token='right')
    with Client(app, base_url='http://lab.example:8577') as client:
        for path in ('/', '/api/state', '/static/main.js', '/?token=wrong', '/?token='):
            assert client.get(path).status_code == 403
        assert client.post('/api/queue', json=dict(action='clear')).status_code == 403
        answer = client.get('/?token=right', follow_redirects=False)
        assert (answer.status_code, answer.headers['location']) == (303, '/')
        assert {'HttpOnly', 'SameSite=Lax'} <= set(
            answer.headers['set-cookie'].replace(';', '').split())
        assert client.cookies[f'{COOKIE}8577'] == 'right'
        assert client.get('/api/state').status_code == 200  # the cookie is known now
        for path in ('//evil.example/', '/%0d%0aset-cookie: a=b'):
            answer = client.get(f'http://lab.example:8577{path}?token=right',
                                follow_redirects=False)
            assert answer.headers['location'] in ('/evil.example/', '/%0D%0Aset-cookie%3A%20a%3Db')


def test_pages_of_one_computer_keep_their_own_tokens(tmp_path):
    """A browser sends the cookies of all ports of a host to each."""
    cookies, clients = {}, {}
    for port, token in ((8577, 'one'), (9000, 'other')):
        app = create_app(Workspace(tmp_path / token), DiscSegmenter(), token=token)
        clients[port] = Client(app, base_url=f'http://lab.example:{port}', follow_redirects=False)
        cookies.update(clients[port].get(f'/?token={token}').cookies)
    assert len(cookies) == 2
    header = {'cookie': '; '.join(f'{name}={value}' for name, value in cookies.items())}
    for client in clients.values():
        client.cookies.clear()
        assert client.get('/api/folders').status_code == 403
        assert client.get('/static/main.js', headers=header).status_code == 200


def test_nonsense_is_answered_in_a_line(client, done):
    for path, body in ((f'/api/items/{done}/frames/0/cells', '['), ('/api/queue', '[]'),
                       ('/api/queue', '[' * 100_000),
                       ('/api/queue', '{"action": "burn"}'), (f'/api/items/{done}', '{}'),
                       ('/api/settings', '{"settings": 3}'),
                       ('/api/settings', '{"settings": {}, "items": 3}'),
                       ('/api/export', '{"items": "all", "formats": ["exe"]}'),
                       ('/api/export', '{"items": "all", "formats": []}'),
                       ('/api/export', '{"items": [], "formats": ["table"]}'),
                       ('/api/folders', '{"path": 3, "read": {"channel": []}}'),
                       (f'/api/items/{done}/frames/0/measurements', '{"ids": "x"}')):
        answer = client.post(path, content=body)
        assert answer.status_code == 400, (path, body, answer.text)
        assert len(answer.json()['detail']) < 300
    for read in ('{"axes": "QQ"}', '{"normalize": [9, 1]}', '{"pixel_size": 0}',
                 '{"normalize": [1]}', '{"normalize": "all"}', '{"code": "x"}', 'x',
                 '{"pixel_size": NaN}', '{"pixel_size": 1e999}'):
        assert client.post('/api/files', params=dict(name='a.png', read=read),
                           content=b'x').status_code == 400
    for path in ('/api/items/1/frames/0/cells', '/api/items/%00/frames/0/cells'):
        assert client.post(path, json={}).status_code == 404
    assert client.get('/api/items/000001/frames/x/tiles/0/0/0').status_code == 422
    assert client.state()['items'][0]['state'] == 'done'


def test_a_huge_brush_is_refused_before_it_takes_memory(client, done):
    asked = dict(kind='draw', shape='brush', points=[[9, 9]], radius=1e5, label=0)
    answer = client.post(f'/api/items/{done}/frames/0/edits', json=asked)
    assert (answer.status_code, 'at most 1,000' in answer.json()['detail']) == (400, True)


def test_a_source_that_vanishes_is_named(client, pictures):
    client.post('/api/folders', json=dict(path=str(pictures)))
    item = client.wait()[0]
    os.unlink(pictures / 'dish 0.png')
    assert client.cells(item['id'])['count'] > 0  # the cells are ours
    for answer in (client.get(f'/api/items/{item["id"]}/frames/0/tiles/0/0/0'),
                   client.post('/api/export', json=dict(items=[item['id']], formats=['table']))):
        assert answer.status_code == 400
        assert answer.json()['detail'].startswith('dish 0.png: ')


def test_records_are_plain_text(tmp_path, client, done):
    assert json.loads((tmp_path / 'workspace/items/000001/item.json').read_text())['id'] == done
    path = tmp_path / 'workspace/items/000001/run_0/kept_00000.npz'
    with np.load(path, allow_pickle=False) as kept:
        assert len(kept['scores']) == 18

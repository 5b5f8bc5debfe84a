"""A server with a workspace of its own, and what tests ask it for."""
import json
import struct
import time

import cv2
import numpy as np
import pytest

pytest.importorskip('fastapi')
pytest.importorskip('httpx')

from fastapi.testclient import TestClient

from mmsart.app.guard import LOOPBACK
from mmsart.app.server import create_app
from mmsart.app.workspace import Workspace
from tests.test_app.fakes import DiscSegmenter, draw_discs

PATIENCE = 120  # seconds: a busy machine is no failure


class Client(TestClient):
    """A browser's requests, as the tests write them."""

    def add(self, name, data, **query):
        return self.post('/api/files', params=dict(name=name, **query), content=data)

    def state(self):
        return self.get('/api/state').json()

    def wait(self, until=lambda items: all(item['state'] not in ('waiting', 'running')
                                           for item in items)):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            items = self.state()['items']
            assert items, 'no picture to wait for: it was not added'
            if until(items):
                return items
            time.sleep(0.01)
        raise AssertionError(f'still {items}')

    def reread(self, *ids, lost=None, **read):
        return self.post('/api/reread', json=dict(items=ids, lost=lost or {}, read=read))

    def given_up(self, *ids):
        return {item['id']: [item['revision'], item['checked']]
                for item in self.state()['items'] if item['id'] in ids}

    def cells(self, item_id, frame=0, **asked):
        return decode(self.post(f'/api/items/{item_id}/frames/{frame}/cells', json=asked))

    def edit(self, item_id, frame=0, **asked):
        return decode(self.post(f'/api/items/{item_id}/frames/{frame}/edits', json=asked))


def decode(response):
    """Read a block of cells in the plainest way."""
    assert response.status_code == 200, response.text
    block = response.content
    length, = struct.unpack_from('<I', block)
    cells = json.loads(block[4:4 + length])
    count, at = cells['count'], 4 + length
    padded = -(-count // 4) * 4
    for name, dtype, size in (('ids', '<i4', count), ('boxes', '<i4', 4 * count),
                              ('scores', '<f4', count), ('labels', '<i4', count),
                              ('made', 'u1', count)):
        cells[name] = np.frombuffer(block, dtype, size, at)
        at += (padded if dtype == 'u1' else size * 4)
    cells['boxes'] = cells['boxes'].reshape(-1, 4)
    bits = np.unpackbits(np.frombuffer(block, np.uint8, -1, at))
    cells['patches'] = []
    begin = 0
    for x1, y1, x2, y2 in cells['boxes'].tolist():
        size = (x2 - x1) * (y2 - y1)
        cells['patches'].append(bits[begin:begin + size].reshape(y2 - y1, x2 - x1))
        begin += size
    cells['areas'] = [int(patch.sum()) for patch in cells['patches']]
    return cells


def png(image):
    return cv2.imencode('.png', image)[1].tobytes()


@pytest.fixture
def pictures(tmp_path):
    """Write three pictures of discs into a folder."""
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f'dish {number}.png'), draw_discs(seed=number)[0])
    return folder


@pytest.fixture
def segmenter():
    return DiscSegmenter()


@pytest.fixture
def client(tmp_path, segmenter, pictures):
    app = create_app(Workspace(tmp_path / 'workspace'), segmenter, folders=[pictures],
                     hosts=LOOPBACK)
    with Client(app, base_url='http://127.0.0.1:8577') as client:
        yield client


@pytest.fixture
def done(client):
    """Add a picture; give its id when its cells are found."""
    client.add('discs.png', png(draw_discs()[0])).raise_for_status()
    return client.wait()[0]['id']

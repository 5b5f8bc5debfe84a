"""The page's server: queue, results, thresholds, export, and what a restart finds."""
import csv
import errno
import gc
import io
import json
import os
import shutil
import threading
import time
import unicodedata
import weakref
import zipfile
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tifffile

from mmsart.apis.inference import Request
from mmsart.app.admission import count_megapixels
from mmsart.app.comparison import Truths
from mmsart.app.exports import item_stems
from mmsart.app.folders import Folders
from mmsart.app.items import Item
from mmsart.app.library import Library
from mmsart.app.limits import Limits
from mmsart.app.page import Page
from mmsart.app.results import load_kept
from mmsart.app.server import LEFT_OUT, START, create_app
from mmsart.app.sheets import Sheets
from mmsart.app.wire import encode_cells
from mmsart.app.workspace import Workspace
from mmsart.datasets.train_csv import read_train_csv
from mmsart.formats.saving import SAVERS, SaveOptions, save_result
from mmsart.formats.summary import read_colours, summarize_image
from mmsart.imaging import ImageStack, open_image, raster
from mmsart.imaging.inputs import find_inputs
from mmsart.postprocessing import PostProcessor, complete_config
from mmsart.report.results import read_results
from mmsart.report.truth import read_truth
from mmsart.structures.detections import Detections
from mmsart.structures.image_result import OKABE_ITO
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.utils import UserError
from tests.test_app.conftest import PATIENCE, Client, decode, png
from tests.test_app.fakes import CLASSES, POSTPROCESS, DiscSegmenter, draw_discs


def test_files_go_through_the_queue(client):
    for number in range(2):
        answer = client.add(f'dish {number}.png', png(draw_discs(seed=number)[0]))
        assert answer.json()['state'] in ('waiting', 'running', 'done')
    items = client.wait()
    assert [item['name'] for item in items] == ['dish 0.png', 'dish 1.png']
    assert all(item['state'] == 'done' for item in items)
    assert {item['megapixels'] for item in items} == {256 * 256 / 1e6}  # for the time that is left
    for number, item in enumerate(items):
        cells = client.cells(item['id'])
        assert cells['count'] == sum(item['facts']['counts']) > 0
        image = draw_discs(seed=number)[0]
        for box, patch in zip(cells['boxes'], cells['patches'], strict=True):
            x1, y1, x2, y2 = box
            assert (image[y1:y2, x1:x2][patch == 1] > 60).all()
    assert client.state()['seconds_left'] == 0


def test_news_come_once(client, done):
    state = client.state()
    again = client.get('/api/state', params=dict(since=state['version'])).json()
    assert 'items' in state
    assert 'items' not in again
    client.post(f'/api/items/{done}', json=dict(action='check'))
    news = client.get('/api/state', params=dict(since=state['version'])).json()
    assert news['items'][0]['checked']


def test_news_of_another_start_are_told_from_these(tmp_path):
    told = []
    for name in ('a', 'b', 'a'):
        page = Page(Workspace(tmp_path / name), DiscSegmenter(), Folders([tmp_path]),
                    Truths({}, tmp_path / name), Limits())
        assert 'items' in page.state(told[-1]['version'] if told else '')
        told.append(page.state(''))
        assert 'items' not in page.state(told[-1]['version'])
    assert len({each['start'] for each in told}) == 3


def test_what_is_meant_for_another_start_is_not_done(client, done):
    address, cells = f'/api/items/{done}', client.cells(done)
    delete = dict(kind='delete', ids=[int(cells['ids'][0])], revision=cells['revision'])
    asked = (('POST', f'{address}/frames/0/edits', delete), ('POST', address, dict(action='check')),
             ('POST', '/api/queue', dict(action='clear')), ('DELETE', address, None))
    for method, path, body in asked:
        answer = client.request(method, path, json=body, headers={START: 'another'})
        assert (answer.status_code, 'started anew' in answer.json()['detail']) == (409, True), path
    item = client.state()['items'][0]
    assert (item['edits'], item['checked']) == (0, False)
    for method, path, body in asked[:2]:
        answer = client.request(method, path, json=body, headers={START: client.state()['start']})
        assert answer.status_code == 200, path


def test_news_show_no_half_of_a_change(tmp_path, monkeypatch):
    """What changes an item while it is described has to wait."""
    workspace, to_plain, changes = Workspace(tmp_path / 'w'), Item.to_plain, []
    with (Client(create_app(workspace, DiscSegmenter(), folders=[tmp_path])) as client,
          ThreadPoolExecutor(1) as pool):
        client.add('discs.png', png(draw_discs()[0]))
        client.wait()

        def forget(item):
            with workspace.update():
                item.facts, item.state = None, 'waiting'

        def describe_and_change(item):
            plain = to_plain(item)
            changes.append(pool.submit(forget, item))
            wait(changes, timeout=0.3)
            return plain

        with monkeypatch.context() as patch:
            patch.setattr(Item, 'to_plain', describe_and_change)
            item, = client.state()['items']
        assert (item['state'], item['facts']['frames']) == ('done', 1)


def test_a_picture_is_cancelled_or_done_but_not_both(tmp_path, monkeypatch):
    """The worker may be done between the click and the server's answer."""
    workspace, segmenter, done = Workspace(tmp_path / 'w'), DiscSegmenter(), []
    segmenter.gate.clear()
    with (Client(create_app(workspace, segmenter, folders=[tmp_path])) as client,
          ThreadPoolExecutor(1) as pool):
        client.add('discs.png', png(draw_discs()[0]))
        item = workspace.get(client.wait(lambda items: items[0]['state'] == 'running')[0]['id'])
        update = workspace.update

        def finish():
            with update():
                if item.state == 'running':
                    item.state = 'done'
                    done.append(item)

        def finish_and_update(*args, **kwargs):
            if kwargs.get('save', True):  # else the worker tells how far it is
                wait([pool.submit(finish)], timeout=0.3)
            return update(*args, **kwargs)

        monkeypatch.setattr(workspace, 'update', finish_and_update)
        client.post(f'/api/items/{item.id}', json=dict(action='cancel')).raise_for_status()
        monkeypatch.undo()
        assert item.state == ('done' if done else 'stopped')


def test_pause_cancel_and_run_again(client, segmenter):
    segmenter.gate.clear()
    for number in range(3):
        client.add(f'{number}.png', png(draw_discs(seed=number)[0]))
    first = client.wait(lambda items: items[0]['state'] == 'running')[0]['id']
    client.post('/api/queue', json=dict(action='pause'))
    assert client.state()['paused']
    client.post(f'/api/items/{first}', json=dict(action='cancel'))
    segmenter.gate.set()
    items = client.wait(lambda items: items[0]['state'] == 'stopped')
    assert [item['state'] for item in items] == ['stopped', 'waiting', 'waiting']
    client.post('/api/queue', json=dict(action='resume'))
    assert [item['state'] for item in client.wait()] == ['stopped', 'done', 'done']
    client.reread(first)
    assert [item['state'] for item in client.wait()] == ['done'] * 3
    segmenter.gate.clear()
    client.reread(first)
    client.post('/api/queue', json=dict(action='cancel'))
    assert client.wait()[0]['state'] == 'done'  # with what was found before


@pytest.mark.parametrize('end', ['cancel', 'failure', 'success'])
def test_what_was_found_stands_until_a_new_run_is_through(client, segmenter, pictures, end):
    client.post('/api/folders', json=dict(path=str(pictures)))
    item = client.wait()[0]
    url = f'/api/items/{item["id"]}'
    thresholds = dict(score_thr=dict(round=0.5, long=0.5))
    client.post('/api/settings', json=dict(settings=thresholds, items=[item['id']]))
    client.edit(item['id'], kind='delete', ids=[int(client.cells(item['id'])['ids'][0])])
    client.post(url, json=dict(action='check'))
    before, cells = client.wait(lambda items: items[0]['checked'])[0], client.cells(item['id'])
    segmenter.gate.clear()
    lost = client.given_up(item['id'])
    client.reread(item['id'], lost=lost, pixel_size=2.0).raise_for_status()
    client.wait(lambda items: items[0]['state'] == 'running')
    if end == 'cancel':
        client.post(url, json=dict(action='cancel')).raise_for_status()
    if end == 'failure':
        segmenter.stream = lambda requests, watch=None: iter([(None, UserError('no disc'))])
        client.post('/api/queue', json=dict(action='cancel'))
        client.reread(item['id'], lost=lost, pixel_size=2.0).raise_for_status()
    segmenter.gate.set()
    after = client.wait()[0]
    assert after['state'] == 'done'
    work, again = ('edits', 'checked', 'settings', 'read'), client.cells(item['id'])
    if end == 'success':
        assert [after[name] for name in work] == [0, False, thresholds, dict(pixel_size=2.0)]
        assert (again['edits'], again['count']) == ([], cells['count'] + 1)
    else:
        assert [after[name] for name in work] == [before[name] for name in work]
        assert after['error'] == ('no disc' if end == 'failure' else '')
        assert (again['edits'], again['ids'].tolist()) == (['delete'], cells['ids'].tolist())
    assert client.edit(item['id'], kind='undo')['count'] == again['count'] + (end != 'success')


@pytest.mark.parametrize('end', ['cancel', 'failure'])
def test_a_picture_looks_as_before_when_a_new_run_comes_to_nothing(client, segmenter, end):
    file = io.BytesIO()
    tifffile.imwrite(file, np.stack([np.full((64, 64), grey, np.uint8) for grey in (200, 20)]),
                     imagej=True, metadata=dict(axes='CYX'))
    client.add('channels.tif', file.getvalue(), read='{"channel": 0, "normalize": "none"}')
    before, = client.wait()
    url = f'/api/items/{before["id"]}'

    def grey():
        tile = client.get(f'{url}/frames/0/tiles/0/0/0').content
        return cv2.imdecode(np.frombuffer(tile, np.uint8), cv2.IMREAD_UNCHANGED).mean()

    assert grey() == 200
    segmenter.gate.clear()
    client.reread(before['id'], channel=1).raise_for_status()
    during = client.wait(lambda items: items[0]['state'] == 'running')[0]
    assert grey() == 20
    if end == 'cancel':
        client.post(url, json=dict(action='cancel')).raise_for_status()
    else:
        segmenter.failure = UserError('no disc')
    segmenter.gate.set()
    after, = client.wait()
    assert (after['state'], after['read']) == ('done', before['read'])
    assert grey() == 200
    assert len({item['runs'] for item in (before, during, after)}) == 3  # in its address


def test_all_that_were_cancelled_run_again(client, segmenter):
    segmenter.gate.clear()
    for number in range(3):
        client.add(f'{number}.png', png(draw_discs(seed=number)[0]))
    client.post('/api/queue', json=dict(action='cancel'))
    assert {item['state'] for item in client.wait()} == {'stopped'}
    segmenter.gate.set()
    client.post('/api/queue', json=dict(action='again')).raise_for_status()
    assert {item['state'] for item in client.wait()} == {'done'}


def test_all_that_were_cancelled_run_again_but_once(client, segmenter, monkeypatch):
    """Another window may put one of them into the queue meanwhile."""
    segmenter.gate.clear()
    for number in range(2):
        client.add(f'{number}.png', png(draw_discs(seed=number)[0]))
    client.post('/api/queue', json=dict(action='cancel'))
    client.wait()
    run_again, others = Page.run_again, []

    def be_overtaken(page, item):
        if not others:
            others.append(threading.Thread(target=page.run_stopped_again, daemon=True))
            others[-1].start()
            others[-1].join(0.2)  # it waits, or is first
        run_again(page, item)

    with monkeypatch.context() as patch:
        patch.setattr(Page, 'run_again', be_overtaken)
        answer = client.post('/api/queue', json=dict(action='again'))
        for other in others:
            other.join(PATIENCE)
    segmenter.gate.set()
    assert answer.status_code == 200
    assert [(item['state'], item['runs']) for item in client.wait()] == [('done', 1)] * 2


def test_all_are_read_in_another_way(client, segmenter, pictures):
    client.post('/api/folders', json=dict(path=str(pictures), read=dict(channel=0, pixel_size=2)))
    client.wait()
    segmenter.gate.clear()
    client.add('waits.png', png(draw_discs()[0]), read='{"channel": 0, "pixel_size": 2}')
    client.add('right.png', png(draw_discs()[0]), read='{"channel": 0, "pixel_size": 0.5}')
    ids = [item['id'] for item in client.wait(lambda items: items[3]['state'] == 'running')]
    assert client.reread(*ids, 'gone', pixel_size=0.5).json()['again'] == 4
    items = client.state()['items']
    assert [item['read'] for item in items] == [dict(channel=0, pixel_size=0.5)] * 5
    assert [item['runs'] for item in items] == [1, 1, 1, 1, 0]  # the last one waits as it should
    client.post('/api/queue', json=dict(action='cancel'))
    items = client.wait()
    assert [(item['state'], item['read']['pixel_size']) for item in items] == [
        *[('done', 2)] * 3, *[('stopped', 0.5)] * 2]  # what stands was read as before
    segmenter.gate.set()
    client.reread(*ids, pixel_size=None, channel='').raise_for_status()
    assert [(item['state'], item['read']) for item in client.wait()] == [('done', {})] * 5


def test_what_is_looked_at_is_begun_anew(client, segmenter):
    segmenter.gate.clear()
    client.add('discs.png', png(draw_discs()[0]), read='{"pixel_size": 2}')
    item = client.wait(lambda items: items[0]['state'] == 'running')[0]['id']
    client.reread(item, pixel_size=0.5).raise_for_status()
    segmenter.gate.set()
    item, = client.wait()
    assert (item['state'], item['read'], item['results']) == (
        'done', dict(pixel_size=0.5), 'run_1')


@pytest.mark.parametrize('work', ['correct', 'check', 'check what is corrected'])
def test_reading_anew_loses_only_what_was_asked_about(client, pictures, work):
    client.post('/api/folders', json=dict(path=str(pictures)))
    ids = [item['id'] for item in client.wait()]
    if 'correct' in work:
        correct(client, ids[1])
    stale = client.given_up(ids[1])
    if 'check' in work:
        check(client, ids[1])
    else:
        client.edit(ids[1], kind='delete', ids=client.cells(ids[1])['ids'][:1].tolist())
    before, lost_now = client.state()['items'], client.given_up(ids[1])
    for lost in ({}, stale, {ids[0]: lost_now[ids[1]]}):
        answer = client.reread(*ids, lost=lost, pixel_size=0.5)
        assert (answer.status_code, 'dish 1.png' in answer.json()['detail']) == (409, True)
        assert client.state()['items'] == before  # none of them
    client.reread(ids[0], ids[2], pixel_size=0.5).raise_for_status()
    assert [item['read'] for item in client.wait()] == [
        dict(pixel_size=0.5), {}, dict(pixel_size=0.5)]
    client.reread(*ids, lost=lost_now, pixel_size=2).raise_for_status()
    after = client.wait()
    assert [item['read'] for item in after] == [dict(pixel_size=2)] * 3
    assert (after[1]['edits'], after[1]['checked']) == (0, False)


@pytest.mark.parametrize(('problem', 'status'), [
    (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 507), (UserError('no such room'), 400)])
@pytest.mark.parametrize('piece', [1, 3])
def test_all_or_none_are_read_anew(
        client, pictures, tmp_path, monkeypatch, problem, status, piece):
    monkeypatch.setattr('mmsart.app.workspace.PIECE', piece)
    client.post('/api/folders', json=dict(path=str(pictures)))
    before = client.wait()
    save, saved = Workspace.save, []

    def fail_at_the_second(workspace, item):
        saved.append(item.id)
        if item.id == before[1]['id']:
            raise problem
        save(workspace, item)

    monkeypatch.setattr(Workspace, 'save', fail_at_the_second)
    answer = client.reread(*[item['id'] for item in before], pixel_size=0.5)
    assert (answer.status_code, len(saved)) == (status, 3)  # two, and the first one back
    work = ('state', 'read', 'results')
    for items in (client.state()['items'],
                  [vars(item) for item in Workspace(tmp_path / 'workspace').items()]):
        assert [[item[name] for name in work] for item in items] == [
            [item[name] for name in work] for item in before]
    runs = [item['runs'] for item in client.state()['items']]
    assert all(run > item['runs'] for run, item in zip(runs, before, strict=True))  # in addresses


def test_what_has_changed_since_is_not_taken_back(client, pictures, segmenter, monkeypatch):
    monkeypatch.setattr('mmsart.app.workspace.PIECE', 1)
    segmenter.gate.clear()
    client.post('/api/folders', json=dict(path=str(pictures)))
    items = client.wait(lambda items: items[0]['state'] == 'running')
    save = Workspace.save

    def cancel(_):
        client.post(f'/api/items/{items[1]["id"]}', json=dict(action='cancel')).raise_for_status()

    def fail_at_the_last(workspace, item):
        if item.id == items[2]['id']:
            raise OSError(errno.ENOSPC, 'No space left on device')
        save(workspace, item)

    with monkeypatch.context() as patch:
        patch.setattr('mmsart.app.workspace.time', SimpleNamespace(time=time.time, sleep=cancel))
        patch.setattr(Workspace, 'save', fail_at_the_last)
        answer = client.reread(*[item['id'] for item in items], pixel_size=0.5)
    assert answer.status_code == 507
    segmenter.gate.set()
    after = client.wait()
    assert [(item['state'], item['read']) for item in after] == [
        ('done', {}), ('stopped', dict(pixel_size=0.5)), ('done', {})]
    assert len({item['runs'] for item in (items[0], after[0])}) == 2  # in a picture's address


def test_nobody_waits_while_many_are_read_anew(client, pictures, tmp_path, monkeypatch):
    client.post('/api/folders', json=dict(path=str(pictures)))
    ids, asked = [item['id'] for item in client.wait()], []

    def ask(_):
        with ThreadPoolExecutor(1) as pool:
            state = pool.submit(client.state).result(PATIENCE)
        asked.append([item['state'] for item in state['items']])
        # What a restart would find now.
        found.append([item.state for item in Workspace(tmp_path / 'workspace').items()])

    found = []
    with monkeypatch.context() as patch:
        patch.setattr('mmsart.app.workspace.PIECE', 1)
        patch.setattr('mmsart.app.workspace.time', SimpleNamespace(time=time.time, sleep=ask))
        client.reread(*ids, pixel_size=0.5).raise_for_status()
    assert asked == [['waiting'] * 3] * 3  # the worker takes none before all are written
    assert found == [['waiting', 'done', 'done'], ['waiting', 'waiting', 'done'], ['waiting'] * 3]
    assert [(item['state'], item['read']) for item in client.wait()] == [
        ('done', dict(pixel_size=0.5))] * 3


@pytest.mark.parametrize(('asked', 'problem'), [
    (dict(read=dict(pixel=1)), 'pixel'), (dict(read=dict(pixel=None)), 'pixel'),
    (dict(read=dict(pixel_size=-1)), 'found -1'), (dict(read=[]), 'read'),
    (dict(lost=[]), 'lost'), (dict(items='some'), 'items')])
def test_reading_anew_in_no_way_is_refused(client, done, asked, problem):
    answer = client.post('/api/reread', json=dict(items=[done]) | asked)
    assert (answer.status_code, problem in answer.json()['detail']) == (400, True), answer.json()
    assert client.state()['items'][0]['runs'] == 0


def test_another_image_of_a_file_is_no_way_around_the_limits(tmp_path):
    tifffile.imwrite(tmp_path / 'two.tif', np.zeros((64, 64), np.uint8))
    tifffile.imwrite(tmp_path / 'two.tif', np.zeros((128, 128), np.uint8), append=True)
    app = create_app(Workspace(tmp_path / 'w'), DiscSegmenter(), folders=[tmp_path],
                     limits=Limits(pixels=64 * 64))
    with Client(app) as client:
        client.post('/api/folders', json=dict(path=str(tmp_path), read=dict(series=0)))
        item, = client.wait()
        answer = client.reread(item['id'], series=1)
        assert (answer.status_code, 'megapixels' in answer.json()['detail']) == (400, True)
        assert client.state()['items'] == [item]


def test_a_file_that_is_gone_keeps_no_other_from_being_read_anew(client, pictures):
    client.post('/api/folders', json=dict(path=str(pictures)))
    ids = [item['id'] for item in client.wait()]
    (pictures / 'dish 1.png').unlink()
    client.reread(*ids, series=0).raise_for_status()
    items = client.wait()
    assert [item['read'] for item in items] == [dict(series=0), {}, dict(series=0)]
    assert items[1]['state'] == 'done'
    assert 'no such file' in items[1]['error']


def test_thresholds_reach_what_is_in_the_queue(client, segmenter, done):
    strict = dict(score_thr=dict(round=0.7, long=0.7))
    segmenter.gate.clear()
    for name in ('second.png', 'third.png'):
        client.add(name, png(draw_discs()[0]))
    ids = [item['id'] for item in client.wait(lambda items: items[1]['state'] == 'running')]
    for settings, status in ((strict, 200), (dict(score_thr=dict(round=0.1, long=0.1)), 400)):
        answer = client.post('/api/settings', json=dict(settings=settings, items=ids))
        assert answer.status_code == status
    client.post(f'/api/items/{ids[2]}', json=dict(action='cancel'))
    segmenter.gate.set()
    client.wait()
    client.post('/api/queue', json=dict(action='again'))
    counted = client.wait(lambda items: all(
        item['state'] == 'done' and item['facts']['counted'] for item in items))
    assert [item['settings'] for item in counted] == [strict] * 3
    count = client.cells(done)['count']
    assert 0 < count < 12
    assert [sum(item['facts']['counts']) for item in counted] == [count] * 3


@pytest.mark.parametrize('end', ['cancel', 'failure'])
def test_thresholds_reach_a_new_run_or_what_stands_without_it(
        client, segmenter, done, monkeypatch, end):
    segmenter.gate.clear()
    client.reread(done).raise_for_status()
    client.wait(lambda items: items[0]['state'] == 'running')
    strict = dict(score_thr=dict(round=0.7, long=0.7))
    client.post('/api/settings', json=dict(settings=strict, items=[done])).raise_for_status()
    assert client.state()['items'][0]['settings'] == {}
    save, saved = Workspace.save, []

    def write_down(workspace, item):
        saved.append((item.state, item.next_settings))
        save(workspace, item)

    monkeypatch.setattr(Workspace, 'save', write_down)
    if end == 'cancel':
        client.post('/api/queue', json=dict(action='cancel'))
    segmenter.failure = UserError('no disc')
    segmenter.gate.set()
    item, = client.wait(lambda items: items[0]['state'] == 'done' and items[0]['facts']['counted'])
    assert (item['state'], item['settings'], item['next_settings']) == ('done', strict, None)
    assert all(each == ('done', None) for each in saved)  # a stop between two would lose them
    assert sum(item['facts']['counts']) == client.cells(done)['count'] < 12


def test_a_count_that_a_new_run_overtakes_is_not_taken_for_its_own(client, pictures, monkeypatch):
    client.post('/api/folders', json=dict(path=str(pictures)))
    item = client.wait()[0]['id']
    load, loaded = Sheets._load, []

    def be_overtaken(sheets, *args):
        load(sheets, *args)
        if not loaded:
            loaded.append(args)
            cv2.imwrite(str(pictures / 'dish 0.png'), draw_discs(count=30)[0])
            client.reread(item).raise_for_status()
            client.wait()

    monkeypatch.setattr(Sheets, '_load', be_overtaken)
    every = dict(score_thr=dict(round=0.3, long=0.3))
    client.post('/api/settings', json=dict(settings=every, items=[item])).raise_for_status()
    items = client.wait(lambda items: loaded and items[0]['facts']['counted'])
    assert sum(items[0]['facts']['counts']) == client.cells(item)['count'] == 30


def test_thresholds_that_do_not_fit_another_model_are_named(client, segmenter, done):
    client.post('/api/settings', json=dict(
        settings=dict(score_thr=dict(round=0.3, long=0.3)), items=[done])).raise_for_status()
    segmenter.source.postprocess = complete_config(
        POSTPROCESS | dict(score_thr=dict(round=0.8, long=0.8)), CLASSES)
    client.reread(done).raise_for_status()
    item, = client.wait()
    assert item['settings'] == {}
    note, = item['facts']['warnings']
    assert note.startswith('thresholds that were set before are not in force: discs.png')


def test_a_run_leaves_one_set_of_results(client, tmp_path, done):
    for _ in range(2):
        client.reread(done)
        client.wait()
    end = time.monotonic() + PATIENCE
    while len(found := list((tmp_path / f'workspace/items/{done}').glob('run_*'))) != 1:
        assert time.monotonic() < end, found
        time.sleep(0.01)
    assert [path.name for path in found] == ['run_2']


@pytest.mark.parametrize('watched', [True, False], ids=['in-time', 'too-late'])
def test_run_again_right_after_a_cancel(client, segmenter, watched):
    """The worker may hear of the cancel when the picture waits already, or not at all."""
    asked = []
    stream = segmenter.stream

    def cancel_and_ask_again(requests, watch):
        for request in requests:
            if not asked:
                item = client.state()['items'][0]['id']
                cancel = dict(action='cancel')
                asked.append(client.post(f'/api/items/{item}', json=cancel).status_code)
                asked.append(client.reread(item, pixel_size=2.0).status_code)
                yield from stream([request], watch if watched else None)
            else:
                asked.append(request.read.pixel_size)
                yield from stream([request], watch)

    segmenter.stream = cancel_and_ask_again
    client.add('discs.png', png(draw_discs()[0]))
    client.wait(lambda items: items[0]['state'] == 'done')  # stopped for a moment before
    assert asked == [200, 200, 2.0]


def test_a_full_disk_does_not_end_the_queue(client, monkeypatch, tmp_path, caplog):
    full = []

    def fail(path, *_):
        full.append(1)
        if isinstance(path, Path):
            path.write_bytes(b'half')
        raise OSError(errno.ENOSPC, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr('mmsart.app.worker.save_kept', fail)
        patch.setattr(Workspace, 'save', lambda self, item: item.state != 'failed' or fail(item))
        client.add('first.png', png(draw_discs()[0]))
        failed, = client.wait()
    assert (failed['state'], len(full)) == ('failed', 2)
    assert failed['error'] == ('first.png: No space left on device, expected room for what is '
                               'written')
    client.wait(lambda _: len(caplog.records) == 2)
    assert [record.exc_info for record in caplog.records] == [None, None]
    assert not list((tmp_path / f'workspace/items/{failed["id"]}').glob('run_*'))
    client.add('second.png', png(draw_discs()[0]))
    assert client.wait()[1]['state'] == 'done'


def test_a_file_that_cannot_be_read_fails_alone(client):
    image = np.zeros((5, 40, 40), np.uint16)
    file = io.BytesIO()
    tifffile.imwrite(file, image)
    client.add('stack.tif', file.getvalue())
    client.add('discs.png', png(draw_discs()[0]))
    stack, discs = client.wait()
    assert discs['state'] == 'done'
    assert stack['state'] == 'failed'
    assert stack['error'].startswith('stack.tif: found')  # the name, not the path of our copy
    assert 'Axes TYX' in stack['error']
    thumbnail = client.get(f'/api/items/{stack["id"]}/thumbnail')
    assert (thumbnail.status_code, thumbnail.headers['cache-control']) == (200, 'no-store')
    client.reread(stack['id'], axes='TYX')
    stack = client.wait()[0]
    assert stack['state'] == 'done'
    assert stack['facts']['frames'] == 5
    assert client.cells(stack['id'], frame=4)['count'] == 0
    assert client.post(f'/api/items/{stack["id"]}/frames/5/cells', json={}).status_code == 404


def test_what_is_wrong_with_reading_is_said_in_the_words_of_the_page(client, tmp_path):
    tifffile.imwrite(tmp_path / 'stack.tif', np.zeros((5, 40, 40), np.uint16))
    for side in (40, 50):
        tifffile.imwrite(tmp_path / 'two.tif', np.zeros((side, side), np.uint8), append=True)
    for name in ('stack.tif', 'two.tif'):
        client.add(name, (tmp_path / name).read_bytes())
    stack, two = client.wait()
    assert stack['error'].endswith('Axes TYX for times, or Axes ZYX for depths, or Axes CYX for '
                                   'channels and Channel N')
    assert 'expected Series N (0: ' in two['error']
    for read, problem in ((dict(pixel_size=-1), 'Pixel size: found -1'),
                          (dict(normalize=[5, 3]), 'Black at, White at: found 5 3')):
        assert client.reread(stack['id'], **read).json()['detail'].startswith(problem)


def test_many_folders_are_found_by_a_part_of_their_name(client, pictures):
    for number in range(503):
        (pictures / f'Plate {number:03d}').mkdir()

    def look(**query):
        return client.get('/api/folders', params=query).json()

    found = look()
    assert (len(found['folders']), found['folders'][-1], found['more']) == (500, 'Plate 499', 3)
    found = look(find='plate 50')
    assert (found['folders'], found['more']) == (['Plate 500', 'Plate 501', 'Plate 502'], 0)
    assert len(found['images']) == 3  # whatever they are called


def test_a_folder_is_added_once(client, pictures):
    (pictures / 'deeper').mkdir()
    cv2.imwrite(str(pictures / 'deeper/more.png'), draw_discs()[0])
    asked = dict(path=str(pictures))
    assert client.get('/api/folders').json()['folders'] == ['deeper']
    assert client.post('/api/folders', json=asked).json() == dict(
        added=3, changed=0, known=0, differ=[], refused=[])
    assert client.post('/api/folders', json=asked).json()['known'] == 3
    assert client.post('/api/folders', json=asked | dict(recursive=True)).json()['added'] == 1
    assert [item['name'] for item in client.wait()][-1] == 'deeper/more.png'


def test_a_folder_in_another_way_asks_before_it_is_added_a_second_time(client, pictures):
    asked, other = dict(path=str(pictures)), dict(path=str(pictures), read=dict(pixel_size=2))
    client.post('/api/folders', json=asked)
    ids = [item['id'] for item in client.wait()]
    cv2.imwrite(str(pictures / 'dish 3.png'), draw_discs(seed=3)[0])
    answer = client.post('/api/folders', json=other).json()
    assert (answer['added'], answer['differ']) == (1, ids)  # what is new does not wait for that
    assert [item['read'] for item in client.wait()] == [{}, {}, {}, dict(pixel_size=2)]
    answer = client.post('/api/folders', json=other | dict(twice=True)).json()
    assert [answer[name] for name in ('added', 'known', 'differ')] == [3, 1, []]
    for again in (asked, other):  # both are known now
        answer = client.post('/api/folders', json=again).json()
        assert (answer['added'], len(answer['differ'])) == (0, again is asked)
    assert len(client.wait()) == 7


def test_a_file_that_has_changed_is_looked_at_again(client, pictures):
    asked = dict(path=str(pictures))
    client.post('/api/folders', json=asked)
    items = client.wait()
    client.edit(items[1]['id'], kind='delete', ids=[int(client.cells(items[1]['id'])['ids'][0])])
    for number in range(2):
        cv2.imwrite(str(pictures / f'dish {number}.png'), draw_discs(count=30, seed=5)[0])
    problem = 'the file has changed since its cells were found'

    answer = client.post('/api/export', json=dict(items='all', formats=['table']))
    assert answer.headers[LEFT_OUT] == '2'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        rows = list(csv.DictReader(archive.read('summary.csv').decode().splitlines()))
    assert [problem in row['status'] for row in rows] == [True, True, False]
    made = client.post('/api/training-data', json=dict(items='all')).json()
    assert (made['images'], len(made['failed'])) == (1, 2)
    for item, status in zip(items, (400, 400, 200), strict=True):  # the picture would not fit
        tile = client.get(f'/api/items/{item["id"]}/frames/0/tiles/0/0/0')
        assert tile.status_code == status, tile.text

    answer = client.post('/api/folders', json=asked).json()
    assert (answer['added'], answer['changed'], answer['known']) == (0, 1, 1)
    assert len(answer['refused']) == 1
    assert answer['refused'][0].startswith(f'dish 1.png: {problem}, and these are corrected')
    items = client.wait()
    assert [sum(item['facts']['counts']) for item in items] == [30, 11, 12]
    lost = client.given_up(items[1]['id'])
    client.reread(items[1]['id'], lost=lost).raise_for_status()
    assert [sum(item['facts']['counts']) for item in client.wait()] == [30, 30, 12]
    assert client.post('/api/folders', json=asked).json()['known'] == 3


def test_results_in_a_folder_are_no_pictures(client, pictures):
    asked = dict(path=str(pictures), recursive=True)
    client.post('/api/folders', json=asked)
    client.wait()
    answer = client.post('/api/export', json=dict(
        items='all', formats=['table', 'labels', 'overlay', 'coco']))
    for folder in (pictures, pictures / 'results'):
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            archive.extractall(folder)
    assert client.post('/api/folders', json=asked).json() == dict(
        added=0, changed=0, known=3, differ=[], refused=[])
    listing = client.get('/api/folders', params=dict(path=str(pictures))).json()
    assert listing['images'] == [f'dish {number}.png' for number in range(3)]
    alone = client.post('/api/folders', json=dict(path=str(pictures / 'results')))
    assert alone.status_code == 400
    assert 'found a result of an earlier batch, expected an image' in alone.json()['detail']


def test_a_folder_added_by_two_clicks_is_added_once(client, pictures, monkeypatch):
    slowly = count_megapixels

    def count(*args):
        time.sleep(0.05)
        return slowly(*args)

    monkeypatch.setattr('mmsart.app.page.count_megapixels', count)
    with ThreadPoolExecutor(2) as pool:
        clicks = [pool.submit(client.post, '/api/folders', json=dict(path=str(pictures)))
                  for _ in range(2)]
        assert sorted(click.result().json()['added'] for click in clicks) == [0, 3]
    assert len(client.wait()) == 3


def test_an_upload_is_added_once(client, tmp_path):
    image = png(draw_discs()[0])
    first = client.add('discs.png', image).json()
    assert first['outcome'] == 'added'
    again = client.add('discs.png', image).json()
    assert (again['outcome'], again['id']) == ('known', first['id'])
    for name, data in (('other.png', image), ('discs.png', image + b'.')):
        assert client.add(name, data).json()['outcome'] == 'added'
    other = dict(read='{"pixel_size": 2}')
    answer = client.add('discs.png', image, **other).json()
    assert (answer['outcome'], answer['id'], answer['read']) == ('differs', first['id'], {})
    answer = client.add('discs.png', image, **other, twice=True).json()
    assert (answer['outcome'], answer['read']) == ('added', dict(pixel_size=2))
    assert client.add('discs.png', image, **other).json()['outcome'] == 'known'
    assert len(client.wait()) == 4
    assert list((tmp_path / 'workspace/incoming').iterdir()) == []


def test_names_that_are_no_utf8_are_shown_in_latin1(client, pictures):
    """As disks of older systems have them; JSON cannot hold their bytes."""
    folder = os.path.join(os.fsencode(pictures), b'10 \xb5m')
    os.mkdir(folder)
    for name, content in ((b'\xe4.png', png(draw_discs()[0])), (b'broken \xe4.png', b'no picture')):
        with open(os.path.join(folder, name), 'wb') as file:
            file.write(content)
    assert client.get('/api/folders').json()['folders'] == ['10 µm']
    listing = client.get('/api/folders', params=dict(path=f'{pictures}/10 µm')).json()
    assert listing['images'] == ['broken ä.png', 'ä.png']
    answer = client.post('/api/folders', json=dict(path=listing['path'])).json()
    assert answer['added'] == 1
    assert 'broken ä.png' in answer['refused'][0]
    item, = client.wait()
    assert (item['name'], item['state']) == ('ä.png', 'done')
    assert client.cells(item['id'])['count'] > 0
    answer = client.get('/api/folders', params=dict(path=f'{pictures}/10 ö'))
    assert answer.status_code == 400


def test_thresholds_choose_what_a_prediction_with_them_finds(client, segmenter, done):
    """The page's cells are those of the post-processor with the same settings, at any slider."""
    kept = segmenter._find(draw_discs()[0], 'discs')
    counts = set()
    for score_thr, min_area, max_area in ((0.4, 10, 5000), (0.25, 10, 5000), (0.7, 10, 5000),
                                          (0.4, 700, 5000), (0.4, 10, 900), (0.85, 0, None)):
        settings = dict(score_thr=dict.fromkeys(CLASSES, score_thr),
                        min_area=dict.fromkeys(CLASSES, min_area),
                        max_area=dict.fromkeys(CLASSES, max_area))
        expected = PostProcessor(CLASSES, **segmenter.source.postprocess | settings)(
            kept.crops[0].detections)
        cells = client.cells(done, settings=settings)
        assert np.array_equal(cells['scores'], expected.scores)
        assert np.array_equal(cells['boxes'], expected.masks.boxes)
        assert all(map(np.array_equal, cells['patches'], expected.masks.patches()))
        counts.add(cells['count'])
    assert len(counts) > 3
    assert client.cells(done)['count'] == 12  # nothing was kept of these


def test_settings_stay_and_export_shows_them(client, done):
    settings = dict(score_thr=dict.fromkeys(CLASSES, 0.7))
    answer = client.post('/api/settings', json=dict(settings=settings, items=[done]))
    assert answer.status_code == 200
    cells = client.cells(done)
    assert 0 < cells['count'] < 12
    archive = export(client, [done], ['table', 'coco'])
    table = list(csv.DictReader(io.StringIO(archive.read('discs_cells.csv').decode())))
    assert [int(row['area_px']) for row in table] == cells['areas']
    assert len(json.loads(archive.read('discs_coco.json'))['annotations']) == cells['count']
    summary = list(csv.DictReader(io.StringIO(archive.read('summary.csv').decode())))
    item, = client.wait(lambda items: items[0]['facts']['counted'] == 1)
    assert int(summary[0]['cells']) == cells['count'] == sum(item['facts']['counts'])
    client.post('/api/settings', json=dict(settings={}, items='all'))
    assert client.cells(done)['count'] == 12


def test_an_export_says_how_each_picture_was_made(client, done, tmp_path):
    client.add('other.png', png(draw_discs(seed=5)[0]), read='{"pixel_size": 0.5}')
    client.add('another.png', png(draw_discs(seed=6)[0]))
    items = client.wait()
    assert {item['facts']['made_by'] for item in items} == {'discs, mmsart 1.2.3'}
    assert 'method' not in items[0]['facts']
    settings = dict(score_thr=dict.fromkeys(CLASSES, 0.7))
    client.post('/api/settings', json=dict(settings=settings, items=[done])).raise_for_status()
    methods = json.loads(export(client, 'all', ['table']).read('methods.json'))['methods']
    assert [each['images'] for each in methods] == [['discs'], ['other'], ['another']]
    assert [each['postprocessing']['settings']['score_thr']['round'] for each in methods] == [
        0.7, 0.4, 0.4]
    assert [each['postprocessing']['changed_by_hand'] for each in methods] == [
        ['score_thr'], [], []]
    assert [each['reading']['pixel_size'] for each in methods] == [None, 0.5, None]
    assert {each['model']['name'] for each in methods} == {'discs'}
    assert '0.7' in methods[0]['text']


def test_the_model_of_a_picture_is_the_one_that_has_looked_at_it(tmp_path):
    for version in ('1.2.3', '1.2.4'):
        segmenter = DiscSegmenter()
        segmenter.method = segmenter.method | dict(mmsart=version)
        with Client(create_app(Workspace(tmp_path / 'w'), segmenter)) as client:
            client.add(f'{version}.png', png(draw_discs(seed=len(version))[0]))
            assert client.wait()[0]['facts']['made_by'] == 'discs, mmsart 1.2.3'
            methods = json.loads(export(client, 'all', ['table']).read('methods.json'))['methods']
    assert [(each['mmsart'], each['images']) for each in methods] == [
        ('1.2.3', ['1.2.3']), ('1.2.4', ['1.2.4'])]


def test_a_record_that_says_nothing_of_its_model_is_read(tmp_path):
    workspace = tmp_path / 'w'
    with Client(create_app(Workspace(workspace), DiscSegmenter())) as client:
        client.add('a.png', png(draw_discs()[0]))
        item = client.wait()[0]['id']
    path = workspace / f'items/{item}/item.json'
    record = json.loads(path.read_text())
    for name in ('method', 'axes', 'channel', 'scaling', 'date'):
        del record['facts'][name]
    path.write_text(json.dumps(record))
    with Client(create_app(Workspace(workspace), DiscSegmenter())) as client:
        assert client.state()['items'][0]['facts']['made_by'] == ''
        archive = export(client, 'all', ['table'])
    method, = json.loads(archive.read('methods.json'))['methods']
    assert 'kept no note of its model' in method['text']
    assert method['postprocessing']['settings']['score_thr'] == dict(round=0.4, long=0.4)


def test_thresholds_of_the_model_are_no_work_of_a_hand(client, done):
    item = client.state()['items'][0]
    own = item['facts']['postprocess']
    for settings in (own, own | dict(min_area=20), own):
        client.post('/api/settings', json=dict(settings=settings, items=[done])
                    ).raise_for_status()
        named = client.state()['items'][0]['settings']
        assert named == ({} if settings is own else dict(min_area=dict.fromkeys(CLASSES, 20)))


def test_thresholds_for_all_pass_over_what_is_gone(client, done):
    asked = dict(settings=dict(min_area=20), items=[done, '000009'])
    answer = client.post('/api/settings', json=asked)
    assert (answer.status_code, answer.json()['refused']) == (200, [])
    assert client.state()['items'][0]['settings']
    answer = client.post('/api/settings', json=asked | dict(items=['000009']))
    assert answer.status_code == 404
    answer = client.post('/api/export', json=dict(items=[done, '000009'], formats=['table']))
    assert answer.status_code == 404


def test_counts_of_stacks_follow_in_the_background(tmp_path, monkeypatch):
    """The page goes on meanwhile, says what is not known yet, and a restart counts the rest."""
    gate, held = threading.Event(), threading.Event()

    def load(path):
        if path.name == 'kept_00003.npz' and threading.current_thread().name == 'mmsart counts':
            held.set()
            assert gate.wait(PATIENCE)
        return load_kept(path)

    def facts_when(client, counted):
        return client.wait(lambda items: items[0]['facts'] and items[0]['facts']['counted']
                           == counted)[0]['facts']

    monkeypatch.setattr('mmsart.app.sheets.load_kept', load)
    file = io.BytesIO()
    tifffile.imwrite(file, np.stack([draw_discs(side=64, count=4, seed=seed)[0]
                                     for seed in range(30)]))
    workspace = tmp_path / 'w'
    with Client(create_app(Workspace(workspace), DiscSegmenter(), folders=[tmp_path])) as client:
        client.add('stack.tif', file.getvalue(), read='{"axes": "TYX"}')
        item = client.wait()[0]['id']
        facts = facts_when(client, 30)
        assert (facts['counts'], facts['kept']) == ([120, 0], [180, 0])
        client.edit(item, frame=29, kind='delete', ids=client.cells(item, 29)['ids'][:3].tolist())
        facts = client.state()['items'][0]['facts']
        assert (facts['counted'], facts['counts']) == (30, [117, 0])  # at once
        client.post('/api/settings', json=dict(
            settings=dict(score_thr=dict(round=0.7, long=0.4)), items=[item])).raise_for_status()
        assert held.wait(PATIENCE)
        facts = client.state()['items'][0]['facts']
        assert facts['counted'] == 4  # 0 to 2, and 29, which is in memory
        cells = [client.cells(item, frame) for frame in (0, 1, 2, 29)]  # nobody waits
        assert facts['counts'] == [sum(each['count'] for each in cells), 0]
        client.edit(item, frame=7, kind='draw', shape='brush', points=[[2, 2]], radius=2, label=1)
        gate.set()
    app = create_app(Workspace(workspace), DiscSegmenter(), folders=[tmp_path])
    with Client(app) as client:
        facts = facts_when(client, 30)
        labels = np.concatenate([client.cells(item, frame)['labels'] for frame in range(30)])
        assert facts['counts'] == np.bincount(labels).tolist()
        assert facts['counts'][1] == 1
        assert 0 < facts['counts'][0] < 117


def test_a_damaged_frame_does_not_hold_up_the_counts_of_others(tmp_path):
    workspace = Workspace(tmp_path / 'w')
    file = io.BytesIO()
    tifffile.imwrite(file, np.stack([draw_discs(side=64, count=4)[0]] * 30))
    with Client(create_app(workspace, DiscSegmenter(), folders=[tmp_path])) as client:
        client.add('stack.tif', file.getvalue(), read='{"axes": "TYX"}')
        item = client.wait()[0]['id']
        results = workspace.folder / f'items/{item}/run_0'
        kept = [results / f'kept_{frame:05d}.npz' for frame in range(30)]
        for path, content in zip(kept[3:6], (b'', kept[3].read_bytes()[:200], b'damaged'),
                                 strict=True):
            path.write_bytes(content)
        client.post('/api/settings', json=dict(settings={}, items=[item])).raise_for_status()
        facts = client.wait(lambda items: items[0]['facts']['counted'] == 30)[0]['facts']
        assert (facts['counts'], facts['unreadable']) == ([4 * 27, 0], 3)
        answer = client.post(f'/api/items/{item}/frames/3/cells', json={})
        assert (answer.status_code, 'unreadable' in answer.json()['detail']) == (400, True)
    for path in kept[3:6]:
        shutil.copy(kept[0], path)
    again = create_app(Workspace(workspace.folder), DiscSegmenter(), folders=[tmp_path])
    with Client(again) as client:  # which tries again
        facts = client.wait(lambda items: items[0]['facts']['counted'] == 30)[0]['facts']
        assert (facts['counts'], facts['unreadable']) == ([120, 0], 0)


def test_a_stack_is_exported_as_it_stands(tmp_path):
    workspace = Workspace(tmp_path / 'w')
    file = io.BytesIO()
    tifffile.imwrite(file, np.stack([draw_discs(side=64, count=count)[0] for count in (4, 9, 1)]),
                     photometric='minisblack')  # three are not the planes of a colour
    with Client(create_app(workspace, DiscSegmenter(), folders=[tmp_path])) as client:
        client.add('stack.tif', file.getvalue(), read='{"axes": "ZYX"}')
        item = client.wait()[0]['id']
        client.edit(item, frame=1, kind='delete', ids=client.cells(item, 1)['ids'][:2].tolist())
        archive = export(client, [item], ['labels', 'table', 'submission'])
        shown = [client.cells(item, frame) for frame in range(3)]
    labels = tifffile.imread(io.BytesIO(archive.read('stack_masks.tif')))
    assert [np.bincount(plane.ravel())[1:].tolist() for plane in labels] == [
        each['areas'] for each in shown]
    assert [each['count'] for each in shown] == [4, 7, 1]
    table = list(csv.DictReader(io.StringIO(archive.read('stack_cells.csv').decode())))
    assert [int(row['z']) for row in table] == [0] * 4 + [1] * 7 + [2]
    assert list(workspace.incoming.iterdir()) == []  # cells on their way


def test_frames_in_memory_are_bounded_and_the_same_for_all(tmp_path):
    workspace = Workspace(tmp_path / 'w')
    with Client(create_app(workspace, DiscSegmenter(), folders=[tmp_path])) as client:
        for number in range(3):
            client.add(f'{number}.png', png(draw_discs(side=64, count=4)[0]))
        client.wait()
    items = workspace.items()
    sheets = Sheets(workspace, cached_frames=2)
    with sheets.open(items[0], 0) as first:
        for item in items[1:]:
            with sheets.open(item, 0):
                pass
        assert [sheets.kept(item) for item in items] == [[], [0], [0]]
        with sheets.open(items[0], 0) as again:  # two copies would lose each other's corrections
            assert again is first
    few = Sheets(workspace, cached_bytes=1)
    for item in items:
        with few.open(item, 0, keep=item is not items[1]):
            pass
    assert [few.kept(item) for item in items] == [[], [], [0]]


@pytest.mark.parametrize(('settings', 'problem'), [
    (dict(score_thr=dict(round=0.1, long=0.4)), 'not kept'),
    (dict(score_thr=dict(round=0.5)), 'expected a value for each'),
    (dict(vote='drop'), "found 'vote'"),
    (dict(min_area=dict(round=-1, long=0)), 'min_area')])
def test_settings_that_mean_nothing_are_refused(client, done, settings, problem):
    answer = client.post(f'/api/items/{done}/frames/0/cells', json=dict(settings=settings))
    assert answer.status_code == 400
    assert problem in answer.json()['detail']


def test_every_format_is_written_as_predict_writes_it(client, segmenter, done, tmp_path):
    client.add('other.png', png(draw_discs(seed=5)[0]))
    client.wait()
    archive = export(client, 'all', list(SAVERS), numbers=True)
    names = archive.namelist()
    for stem, seed in (('discs', 0), ('other', 5)):
        cv2.imwrite(str(tmp_path / f'{stem}.png'), draw_discs(seed=seed)[0])
        _, result = next(segmenter.stream([Request(str(tmp_path / f'{stem}.png'))]))
        for path in save_result(result, tmp_path / 'out', stem, list(SAVERS),
                                SaveOptions(numbers=True)):
            if path.name.endswith('_rois.zip'):  # its parts carry the time of writing
                ours = zipfile.ZipFile(io.BytesIO(archive.read(path.name)))
                assert [(each.filename, each.CRC) for each in ours.infolist()] == [
                    (each.filename, each.CRC) for each in zipfile.ZipFile(path).infolist()]
            else:
                assert archive.read(path.name) == path.read_bytes(), path.name
    assert {'submission.csv', 'coco.json', 'summary.csv'} <= set(names)


def test_pictures_of_one_name_are_told_apart_in_a_submission(client, pictures):
    for name in ('p1', 'p2'):
        (pictures / name).mkdir()
        shutil.copy(pictures / 'dish 0.png', pictures / name / 'A1.png')
    client.post('/api/folders', json=dict(path=str(pictures), recursive=True)).raise_for_status()
    for seed, name in enumerate(('A1.png', 'A1_000008.png', 'A1.png')):
        image = draw_discs(side=64, count=1, seed=seed)[0]
        client.add(name, png(image)).raise_for_status()
    client.wait()
    archive = export(client, 'all', ['submission'])
    rows = csv.DictReader(io.StringIO(archive.read('submission.csv').decode()))
    ids = list(dict.fromkeys(row['id'] for row in rows))
    assert ids[:5] == [image.stem for image in find_inputs([pictures], recursive=True)]
    assert ids[3:] == ['p1/A1', 'p2/A1', 'A1', 'A1_000008', 'A1_000008_000008']
    assert len(set(archive.namelist())) == len(archive.namelist()) == 3 * 8 + 4  # previews, records


@pytest.mark.parametrize('names', [
    ('a.tif', 'a_t00.png'), ('A.png', 'a.tif'), ('\u00e9.png', 'e\u0301.tif'),
    ('a.tif', 'a.ome.tif'), ('x/a.png', 'y/A.tif'), ('a?.png', 'a_.png'), ('a.png', 'a.png')])
def test_files_of_pictures_do_not_take_each_other_s_place(names):
    items = [Item(f'{number:06d}', name, '', True) for number, name in enumerate(names, 1)]
    stems = [unicodedata.normalize('NFC', stem).casefold() for stem in item_stems(items)]
    assert len({*stems, *(f'{stem}_t{time:02d}' for stem in stems for time in range(3))}) == 8


def test_the_files_of_a_stack_and_of_a_picture_are_exported_both(client, tmp_path):
    names = {'a.tif': np.stack([draw_discs(seed=time)[0] for time in (0, 1)]),
             'a_t00.png': draw_discs(seed=2)[0]}
    tifffile.imwrite(tmp_path / 'a.tif', names['a.tif'], photometric='minisblack', ome=True,
                     metadata=dict(axes='TYX'))
    client.add('a.tif', (tmp_path / 'a.tif').read_bytes()).raise_for_status()
    client.add('a_t00.png', png(names['a_t00.png'])).raise_for_status()
    client.wait()
    archive = export(client, 'all', ['outlines', 'submission'])
    assert len([name for name in archive.namelist() if name.endswith('.png')]) == 3
    assert len(set(archive.namelist())) == len(archive.namelist())
    data = client.post('/api/training-data', json=dict(items='all')).json()
    assert len(list((Path(data['folder']) / 'train').iterdir())) == data['images'] == 3


def test_a_report_finds_pictures_and_colours_in_an_export(tmp_path, pictures):
    workspace = Workspace(tmp_path / 'w')
    with Client(create_app(workspace, DiscSegmenter(), folders=[pictures])) as client:
        client.post('/api/folders', json=dict(path=str(pictures))).raise_for_status()
        for number, item in enumerate(client.wait()):
            facts = workspace.get(item['id']).facts
            facts.palette = ((250, 0, number), (0, 0, 250))
        export(client, 'all', ['table', 'labels']).extractall(tmp_path / 'results')
    results = read_results(tmp_path / 'results')
    for number, image in enumerate(results.images):
        [frame] = image.frames()
        shown = cv2.imread(str(frame.preview), cv2.IMREAD_GRAYSCALE).astype(int)
        assert abs(shown - draw_discs(seed=number)[0]).mean() < 5
    assert read_colours(tmp_path / 'results', CLASSES) == [(250, 0, 0), (0, 0, 250)]


def test_a_file_that_has_gone_is_left_out_of_what_is_written(client, pictures):
    client.post('/api/folders', json=dict(path=str(pictures))).raise_for_status()
    client.wait()
    (pictures / 'dish 1.png').unlink()
    answer = client.post('/api/export', json=dict(items='all', formats=['table', 'submission']))
    assert (answer.status_code, answer.headers[LEFT_OUT]) == (200, '1')
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert not [name for name in archive.namelist() if name.startswith('dish 1')]
    rows = csv.DictReader(io.StringIO(archive.read('summary.csv').decode()))
    assert [row['status'].split(':')[0] for row in rows] == ['ok', 'failed', 'ok']
    assert 'dish 0' in archive.read('submission.csv').decode()
    made = client.post('/api/training-data', json=dict(items='all')).json()
    assert (made['images'], len(made['failed'])) == (2, 1)
    assert made['failed'][0].startswith('dish 1.png: ')
    folder = Path(made['folder'])
    assert sorted(path.name for path in (folder / 'train').iterdir()) == [
        'dish 0.png', 'dish 2.png']
    assert len(read_train_csv(folder / 'train.csv', classes=None).image_ids) == 2
    shutil.rmtree(pictures)
    for path, asked in (('export', dict(formats=['table'])), ('training-data', {})):
        answer = client.post(f'/api/{path}', json=dict(items='all', **asked))
        assert (answer.status_code, 'dish 0.png: ' in answer.json()['detail']) == (400, True)


@pytest.mark.parametrize('action', ['remove', 'again'])
def test_a_picture_that_goes_while_others_are_written_is_left_out_alone(
        client, segmenter, monkeypatch, action):
    for number in range(3):
        client.add(f'{number}.png', png(draw_discs(seed=number)[0]))
    ids = [item['id'] for item in client.wait()]

    def interfere(result, stem):
        if stem == '1':  # the first one is written, this one is in memory, the last one not yet
            for item in ids:
                segmenter.gate.clear()
                answer = (client.delete(f'/api/items/{item}') if action == 'remove' else
                          client.reread(item))
                answer.raise_for_status()
        return summarize_image(result, stem)

    monkeypatch.setattr('mmsart.app.exports.summarize_image', interfere)
    answer = client.post('/api/export', json=dict(items=ids, formats=['table', 'submission']))
    segmenter.gate.set()
    assert (answer.status_code, answer.headers[LEFT_OUT]) == (200, '1')
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    rows = csv.DictReader(io.StringIO(archive.read('summary.csv').decode()))
    assert [row['status'].split(':')[0] for row in rows] == ['ok', 'ok', 'failed']
    submission = archive.read('submission.csv').decode().splitlines()
    assert {line.split(',')[0] for line in submission} == {'id', '0', '1'}


@pytest.mark.parametrize('read', [dict(axes='CYX', channel=0), dict(pixel_size=2)])
def test_no_picture_is_written_with_cells_of_two_runs(client, monkeypatch, read):
    file = io.BytesIO()
    tifffile.imwrite(file, np.stack([draw_discs(seed=time)[0] for time in range(3)]),
                     photometric='minisblack')
    client.add('stack.tif', file.getvalue(), read='{"axes": "TYX"}')
    client.add('discs.png', png(draw_discs()[0]))
    stack, _ = client.wait()
    by_hand, overtaken = Library.by_hand, []

    def be_overtaken(library, item, frame, **keep):
        if frame and not overtaken:
            overtaken.append(frame)
            client.reread(stack['id'], **read).raise_for_status()
            client.wait()
        return by_hand(library, item, frame, **keep)

    monkeypatch.setattr(Library, 'by_hand', be_overtaken)
    answer = client.post('/api/export', json=dict(items='all', formats=['table']))
    assert (answer.status_code, answer.headers[LEFT_OUT]) == (200, '1')
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    rows = list(csv.DictReader(io.StringIO(archive.read('summary.csv').decode())))
    assert 'found anew meanwhile' in rows[0]['status']
    assert (rows[1]['status'], rows[1]['cells']) == ('ok', '12')


def test_a_damaged_plane_takes_its_stack_out_of_training_data(tmp_path, monkeypatch):
    stack = np.stack([draw_discs(seed=time)[0] for time in (0, 1)])
    tifffile.imwrite(tmp_path / 'a.tif', stack, photometric='minisblack', ome=True,
                     metadata=dict(axes='TYX'))
    with Client(create_app(Workspace(tmp_path / 'w'), DiscSegmenter(), folders=[tmp_path])
                ) as client:
        client.add('a.tif', (tmp_path / 'a.tif').read_bytes()).raise_for_status()
        client.add('b.png', png(stack[0])).raise_for_status()
        client.wait()
        read = ImageStack.read_raw

        def read_first(stack, number):
            if number:
                raise UserError('page 1 is cut off')
            return read(stack, number)

        monkeypatch.setattr(ImageStack, 'read_raw', read_first)
        made = client.post('/api/training-data', json=dict(items='all')).json()
        assert (made['images'], made['failed']) == (1, ['page 1 is cut off'])
        assert [path.name for path in Path(made['folder'], 'train').iterdir()] == ['b.png']


def test_models_of_other_classes_stand_side_by_side(tmp_path):
    workspace = Workspace(tmp_path / 'w')
    with Client(create_app(workspace, DiscSegmenter(), folders=[tmp_path])) as client:
        for seed in range(2):
            client.add(f'{seed}.png', png(draw_discs(seed=seed)[0]))
        facts = workspace.get(client.wait()[1]['id']).facts
        facts.classes = ('flat', 'long')
        facts.postprocess = complete_config(dict(score_thr=0.4), facts.classes)
        settings = dict(score_thr=dict.fromkeys(CLASSES, 0.7))
        answer = client.post('/api/settings', json=dict(settings=settings, items='all')).json()
        assert [line.split(': ')[:2] for line in answer['refused']] == [['1.png', 'settings']]
        assert [bool(item['settings']) for item in client.state()['items']] == [True, False]
        answer = client.post('/api/settings', json=dict(settings=settings, items=['000002']))
        assert (answer.status_code, answer.json()['detail'].split(':')[0]) == (400, '1.png')
        client.post('/api/settings', json=dict(settings={}, items='all')).raise_for_status()
        summary = export(client, 'all', ['table']).read('summary.csv').decode()
    first, second = csv.DictReader(io.StringIO(summary))
    assert (first['cells_round'], first['cells_flat']) == ('12', '')
    assert (second['cells_round'], second['cells_flat']) == ('', second['cells'])


def test_a_restart_finds_everything(tmp_path, pictures):
    segmenter = DiscSegmenter()
    app = create_app(Workspace(tmp_path / 'w'), segmenter, folders=[pictures])
    with Client(app) as client:
        client.add('discs.png', png(draw_discs()[0]))
        done = client.wait()[0]['id']
        edited = client.edit(done, kind='delete', ids=client.cells(done)['ids'][:2].tolist())
        client.post('/api/queue', json=dict(action='pause'))
        client.post('/api/folders', json=dict(path=str(pictures)))
    app = create_app(Workspace(tmp_path / 'w'), DiscSegmenter(), folders=[pictures])
    with Client(app) as client:
        assert client.state()['paused']
        cells = client.cells(done)
        assert cells['count'] == edited['count'] == 10
        assert cells['edits'] == ['delete']
        client.post('/api/queue', json=dict(action='resume'))
        assert [item['state'] for item in client.wait()] == ['done'] * 4


def test_work_cut_off_by_the_end_waits_again(tmp_path):
    segmenter = DiscSegmenter()
    segmenter.gate.clear()
    with Client(create_app(Workspace(tmp_path / 'w'), segmenter, folders=[tmp_path])) as client:
        client.add('discs.png', png(draw_discs()[0]))
        client.wait(lambda items: items[0]['state'] == 'running')
    assert [item.state for item in Workspace(tmp_path / 'w').items()] == ['waiting']


def test_damaged_results_are_named(client, tmp_path, done):
    np.savez(tmp_path / f'workspace/items/{done}/run_0/kept_00000.npz', scores=[1.0])
    answer = client.post(f'/api/items/{done}/frames/0/cells', json={})
    assert answer.status_code == 400
    assert 'kept_00000.npz: unreadable, expected kept detections' in answer.json()['detail']


def test_what_a_stop_has_cut_off_is_removed(tmp_path):
    incoming = Workspace(tmp_path / 'w').incoming
    (incoming / 'upload.png').touch()
    (incoming / 'export').mkdir()
    (incoming / 'export/mmsart.zip').touch()
    assert list(Workspace(tmp_path / 'w').incoming.iterdir()) == []


def test_runs_that_a_stop_has_cut_off_are_removed(tmp_path):
    with Client(create_app(Workspace(tmp_path / 'w'), DiscSegmenter(), folders=[tmp_path])
                ) as client:
        client.add('discs.png', png(draw_discs()[0]))
        item = client.wait()[0]['id']
    folder = tmp_path / 'w/items' / item
    for name in ('run_7/kept_00000.npz', 'kept_00000.npz', 'edits_00000.json', '.item-1.json'):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    Workspace(tmp_path / 'w')
    assert sorted(path.name for path in folder.iterdir()) == ['item.json', 'run_0', 'source.png']


def test_results_beside_the_record_stay_until_a_new_run(tmp_path):
    def make_app():
        return create_app(Workspace(tmp_path / 'w'), DiscSegmenter(), folders=[tmp_path])

    with Client(make_app()) as client:
        client.add('discs.png', png(draw_discs()[0]))
        item = client.wait()[0]['id']
    folder = tmp_path / 'w/items' / item
    (folder / 'run_0/kept_00000.npz').rename(folder / 'kept_00000.npz')
    record = json.loads((folder / 'item.json').read_text())
    (folder / 'item.json').write_text(json.dumps(record | dict(results='')))
    with Client(make_app()) as client:
        assert client.cells(item)['count'] == 12
        client.reread(item).raise_for_status()
        client.wait()
    assert sorted(path.name for path in folder.iterdir()) == ['item.json', 'run_1', 'source.png']


def test_corrections_of_a_run_that_was_cut_off_are_not_those_of_the_next(client, segmenter,
                                                                         tmp_path):
    segmenter.gate.clear()
    client.add('discs.png', png(draw_discs()[0]))
    item = client.wait(lambda items: items[0]['state'] == 'running')[0]['id']
    folder = tmp_path / f'workspace/items/{item}/run_0'
    folder.mkdir()
    (folder / 'edits_00000.json').write_text('damaged')
    segmenter.gate.set()
    client.wait()
    assert client.cells(item)['count'] == 12


def test_a_record_in_the_folder_of_another_is_passed_over(tmp_path):
    workspace = Workspace(tmp_path / 'w')
    (workspace.incoming / 'a.png').touch()
    item = workspace.add('a.png', workspace.incoming / 'a.png', True, {}, 1.0)
    shutil.copytree(workspace.path(item), tmp_path / 'w/items/copy')
    (tmp_path / 'w/items/copy/note.txt').touch()
    assert [each.id for each in Workspace(tmp_path / 'w').items()] == [item.id]
    assert (tmp_path / 'w/items/copy/note.txt').is_file()


@pytest.mark.parametrize('end', ['expire', 'tidy'])
def test_nobody_waits_while_folders_are_removed(tmp_path, monkeypatch, end):
    workspace, free = Workspace(tmp_path / 'w'), []
    (workspace.incoming / 'a.png').touch()
    item = workspace.add('a.png', workspace.incoming / 'a.png', True, {}, 1.0)
    item.state = 'stopped'

    def take_lock():
        if taken := workspace.changed.acquire(timeout=1):
            workspace.changed.release()
        return taken

    def remove(path, **_):
        assert path == workspace.path(item)
        with ThreadPoolExecutor(1) as pool:
            free.append(pool.submit(take_lock).result())

    monkeypatch.setattr(shutil, 'rmtree', remove)
    if end == 'expire':
        assert workspace.expire(1, now=lambda: 1e12) == [item]
    else:
        workspace.remove(item)
        workspace.tidy(item)
    assert free == [True] * (1 if end == 'expire' else 2)


def test_what_expires_is_forgotten(tmp_path):
    workspace = Workspace(tmp_path / 'w')
    (workspace.incoming / 'a.png').write_bytes(png(draw_discs()[0]))
    item = workspace.add('a.png', workspace.incoming / 'a.png', True, {}, 1.0)
    page = Page(workspace, DiscSegmenter(), Folders([tmp_path]), Truths({}, workspace.folder),
                Limits(keep_days=1))
    page.worker.start()
    with workspace.changed:
        assert workspace.changed.wait_for(lambda: item.state == 'done', PATIENCE)
    page.worker.end()
    page.cells(item, 0)
    picture = weakref.ref(page.pictures.pyramid(item, 0))
    cells = weakref.ref(page.library.cells(item, 0))
    item.added = item.changed = 0.0
    page.expire()
    gc.collect()
    assert (picture(), cells()) == (None, None)


def test_what_is_removed_is_gone(client, tmp_path, done):
    assert len(list((tmp_path / 'workspace/items').iterdir())) == 1
    assert client.delete(f'/api/items/{done}').status_code == 200
    assert list((tmp_path / 'workspace/items').iterdir()) == []
    assert client.get(f'/api/items/{done}/thumbnail').status_code == 404
    assert client.delete(f'/api/items/{done}').status_code == 404


@pytest.mark.parametrize('asked', [
    'frames/0/tiles/0/0/0', 'thumbnail', 'frames/0/measurements'])
@pytest.mark.parametrize('opening', [1, 2], ids=['checked', 'header-read'])
def test_a_picture_removed_while_it_is_opened_is_not_found(
        client, tmp_path, done, monkeypatch, asked, opening):
    """A reader opens a file by its name more than once, and a removal waits for none of them."""
    open_picture, opened = raster._open, []
    cells = client.cells(done)['ids'].tolist()

    def be_overtaken(path):
        opened.append(path)
        if len(opened) == opening:
            client.delete(f'/api/items/{done}').raise_for_status()
        return open_picture(path)

    monkeypatch.setattr(raster, '_open', be_overtaken)
    url = f'/api/items/{done}/{asked}'
    answer = (client.post(url, json=dict(ids=cells[:1])) if 'measurements' in asked else
              client.get(url))
    if asked == 'thumbnail':  # of what cannot be read there is a blank one
        assert (answer.status_code, answer.headers['cache-control']) == (200, 'no-store')
    else:
        assert (answer.status_code, answer.json()['detail']) == (
            404, 'found no such image, it may have been removed')
    assert len(opened) == opening
    assert list((tmp_path / 'workspace/items').iterdir()) == []


def test_a_picture_that_goes_while_its_size_is_read_keeps_no_other_from_being_read_anew(
        client, pictures, monkeypatch):
    client.post('/api/folders', json=dict(path=str(pictures)))
    ids = [item['id'] for item in client.wait()]
    open_picture = raster._open

    def go(path):
        (pictures / 'dish 1.png').unlink(missing_ok=True)
        return open_picture(path)

    with monkeypatch.context() as patch:
        patch.setattr(raster, '_open', go)
        client.reread(ids[1], ids[0], series=0).raise_for_status()
    assert [item['state'] for item in client.wait()] == ['done'] * 3


def test_a_picture_removed_while_it_is_looked_at_leaves_nothing(client, segmenter, tmp_path):
    segmenter.gate.clear()
    client.add('discs.png', png(draw_discs()[0]))
    item = client.wait(lambda items: items[0]['state'] == 'running')[0]
    client.delete(f'/api/items/{item["id"]}')
    segmenter.gate.set()
    client.add('other.png', png(draw_discs()[0]))
    client.wait()
    assert [path.name for path in (tmp_path / 'workspace/items').iterdir()] == ['000002']


def test_old_items_expire(client, tmp_path, done):
    workspace = Workspace(tmp_path / 'workspace')
    assert workspace.expire(1) == []
    assert workspace.expire(0, now=lambda: 1e12) == []
    late = workspace.get(done).changed + 31 * 86_400
    assert [item.name for item in workspace.expire(30, now=lambda: late)] == ['discs.png']
    assert list((tmp_path / 'workspace/items').iterdir()) == []


def correct(client, item):
    client.edit(item, kind='delete', ids=client.cells(item)['ids'][:1].tolist())


def check(client, item):
    client.post(f'/api/items/{item}', json=dict(action='check')).raise_for_status()


def choose(client, item):
    client.post('/api/settings', json=dict(settings=dict(min_area=20), items=[item])
                ).raise_for_status()


def run_again_later(client, item):
    client.post('/api/queue', json=dict(action='pause'))
    client.reread(item).raise_for_status()


@pytest.mark.parametrize('work', [correct, check, choose, run_again_later])
def test_work_of_a_hand_and_what_waits_do_not_expire(client, tmp_path, done, work):
    work(client, done)
    workspace = Workspace(tmp_path / 'workspace')
    assert workspace.expire(30, now=lambda: 1e12) == []
    assert [item.holds_work for item in workspace.overdue(30, now=lambda: 1e12)] == (
        [] if work is run_again_later else [True])


def test_days_count_from_the_last_change(client, tmp_path, done):
    before = Workspace(tmp_path / 'workspace').get(done).changed
    correct(client, done)
    client.edit(done, kind='undo')
    workspace = Workspace(tmp_path / 'workspace')
    assert before < workspace.get(done).changed
    assert workspace.expire(30, now=lambda: before + 30 * 86_400 + 1e-3) == []
    assert client.state()['kept'] == []


def test_tiles_make_the_picture(client):
    image = draw_discs(side=1200, count=20)[0]
    client.add('large.png', png(image))
    item = client.wait()[0]['id']

    def read(level, column, row):
        answer = client.get(f'/api/items/{item}/frames/0/tiles/{level}/{column}/{row}')
        assert answer.headers['content-type'] == 'image/png'
        return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)

    rows = [np.concatenate([read(0, column, row) for column in range(3)], 1) for row in range(3)]
    assert np.array_equal(np.concatenate(rows), image)
    assert read(2, 0, 0).shape == (300, 300)
    for place in ('0/3/0', '3/0/0', '0/-1/0'):
        assert client.get(f'/api/items/{item}/frames/0/tiles/{place}').status_code == 404


@pytest.mark.parametrize('photometric', ['minisblack', 'miniswhite'])
def test_a_plane_of_a_deep_stack_is_shown_without_the_others(client, tmp_path, photometric):
    """The last one is damaged after the prediction, which tells whether it is read."""
    path = tmp_path / 'stack.tif'
    planes = np.stack([draw_discs(seed=seed)[0].astype(np.uint16) * (40 + 60 * seed)
                       for seed in range(3)])
    planes = planes if photometric == 'minisblack' else planes.max() - planes
    tifffile.imwrite(path, planes, photometric=photometric, metadata=dict(axes='ZYX'),
                     compression='zlib')
    with open_image(path) as stack:
        expected = [frame.image for frame in stack]
    with tifffile.TiffFile(path) as file:
        place, size = file.pages[2].dataoffsets[0], file.pages[2].databytecounts[0]
    data = path.read_bytes()
    client.add('stack.tif', data)
    item = client.wait()[0]['id']
    copy = next((tmp_path / 'workspace/items' / item).glob('source*'))
    copy.write_bytes(data[:place] + bytes(size) + data[place + size:])

    def read(frame):
        return client.get(f'/api/items/{item}/frames/{frame}/tiles/0/0/0')

    for frame in range(2):
        shown = cv2.imdecode(np.frombuffer(read(frame).content, np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(shown, expected[frame])
    cell = int(client.cells(item, 1)['ids'][0])
    measured = client.post(f'/api/items/{item}/frames/1/measurements', json=dict(ids=[cell]))
    assert measured.json()[0]['z'] == 1
    assert read(2).status_code == 400


@pytest.mark.parametrize('size', [(1, 1), (1, 3000), (3000, 1), (2, 513)])
def test_strips_have_pictures_too(client, size):
    client.add('strip.png', png(np.full(size, 30, np.uint8)))
    item = client.wait()[0]['id']
    assert client.cells(item)['count'] == 0
    for place in ('thumbnail', 'frames/0/tiles/0/0/0'):
        answer = client.get(f'/api/items/{item}/{place}')
        assert (answer.status_code, answer.headers['content-type']) == (200, 'image/png')
    assert export(client, [item], ['outlines', 'labels', 'table']).testzip() is None


@pytest.mark.parametrize('stored', [(255, 0), None])  # None: found by an earlier version
def test_where_white_is_zero_training_data_are_what_the_network_saw(
        client, tmp_path, monkeypatch, stored):
    picture, count = draw_discs()
    tifffile.imwrite(tmp_path / 'a.tif', 255 - picture, photometric='miniswhite')
    with monkeypatch.context() as finding:
        finding.setattr(ImageStack, 'display_range', stored)
        client.add('a.tif', (tmp_path / 'a.tif').read_bytes())
        item = client.wait()[0]['id']
    made = training_data(client, [item])
    assert made['cells'] == count
    written = cv2.imread(str(Path(made['folder'], 'train', 'a.png')), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(written, picture)
    shown = client.get(f'/api/items/{item}/frames/0/tiles/0/0/0').content
    np.testing.assert_array_equal(
        cv2.imdecode(np.frombuffer(shown, np.uint8), cv2.IMREAD_UNCHANGED), picture)


def test_truth_beside_results(client, done, tmp_path):
    cells = client.cells(done)
    made = training_data(client, [done])
    truth = (tmp_path / 'workspace' / 'training_data' / made['folder'].rpartition('/')[2])
    data = json.loads((truth / 'annotations.json').read_text())
    data['images'][0]['file_name'] = 'discs.png'
    answer = client.post('/api/truth?name=truth.json', content=json.dumps(data))
    assert answer.json() == dict(images=1, pictures=1, found=1)
    assert client.state()['items'][0]['truth']
    true = decode(client.get(f'/api/items/{done}/truth'))
    assert (true['score'], true['met'], true['missed'], true['extra']) == (1, 12, 0, 0)
    assert sorted(true['areas']) == sorted(cells['areas'])
    client.edit(done, kind='delete', ids=cells['ids'][:3].tolist())
    true = decode(client.get(f'/api/items/{done}/truth'))
    assert (true['met'], true['missed'], true['extra']) == (9, 3, 0)
    assert client.post('/api/truth?name=truth.json', content='{}').status_code == 400
    assert client.state()['items'][0]['truth'], 'what was known stays'
    data['images'][0]['file_name'] = 'other.png'  # in place of what was sent before
    client.post('/api/truth?name=truth.json', content=json.dumps(data)).raise_for_status()
    assert not client.state()['items'][0]['truth']
    assert client.post('/api/truth?name=truth.txt', content='{}').status_code == 400


def test_pictures_without_a_truth_say_why(client, done, tmp_path):
    stack = np.stack([draw_discs(seed=time)[0] for time in (0, 1)])
    tifffile.imwrite(tmp_path / 'a.tif', stack, photometric='minisblack', ome=True,
                     metadata=dict(axes='TYX'))
    client.add('a.tif', (tmp_path / 'a.tif').read_bytes()).raise_for_status()
    client.add('other.png', png(draw_discs()[0])).raise_for_status()
    client.wait()
    assert [item['truth_problem'] for item in client.state()['items']] == ['', '', '']
    truth = dict(images=[dict(id=1, file_name='discs.png', width=10, height=8),
                         dict(id=2, file_name='p1/x.png', width=10, height=8)],
                 categories=[dict(id=1, name='cell')], annotations=[])
    answer = client.post('/api/truth?name=truth.json', content=json.dumps(truth)).json()
    assert answer == dict(images=2, pictures=3, found=0)
    assert [item['truth_problem'].partition(',')[0] for item in client.state()['items']] == [
        'found truth of 10 x 8 pixels', 'found a stack', 'found no truth of this name']
    answer = client.get(f'/api/items/{done}/truth')
    assert (answer.status_code, '256 x 256' in answer.json()['detail']) == (400, True)


def test_truth_that_is_asked_for_comes_before_that_of_an_earlier_time(tmp_path, write_table):
    old = write_table([{'id': 'a'}, {'id': 'b'}], 'old') / 'train.csv'
    new = write_table([{'id': 'a'}, {'id': 'a', 'annotation': '20 3'}], 'new') / 'train.csv'
    again = shutil.copy(old, tmp_path / 'again.csv')
    folder = tmp_path / 'w'
    folder.mkdir()

    def count(truths, name):
        facts = SimpleNamespace(frames=1, height=8, width=10)
        return len(truths.find(SimpleNamespace(name=name, facts=facts)).masks)

    Truths({}, folder).take(old, '.csv')
    truths = Truths(read_truth(new), folder)
    assert [count(truths, name) for name in ('a.png', 'b.png')] == [2, 1]
    truths.take(Path(again), '.csv')  # but what is dropped now is newer still
    assert count(truths, 'a.png') == 1


def test_truth_gives_way_to_its_replacement_alone(tmp_path, write_table, monkeypatch):
    first = write_table([{'id': 'first'}], 'first') / 'train.csv'
    second = tmp_path / 'second.json'
    second.write_text(json.dumps(dict(
        images=[dict(id=1, file_name='second.png', width=10, height=8)],
        categories=[dict(id=1, name='cell')], annotations=[])))
    folder = tmp_path / 'w'
    folder.mkdir()

    def known():
        found = Truths({}, folder)
        facts = SimpleNamespace(frames=1, height=8, width=10)
        return [name for name in ('first.png', 'second.png')
                if found.find(SimpleNamespace(name=name, facts=facts)) is not None]

    truths = Truths({}, folder)
    truths.take(first, '.csv')
    assert known() == ['first.png']
    for stopped_at, left in (('replace', ['first.png']), ('unlink', ['second.png'])):
        with monkeypatch.context() as stopping:
            stopping.setattr(Path, stopped_at, raise_full)
            with pytest.raises(OSError, match='full'):
                truths.take(second, '.json')
        assert known() == left


def test_true_cells_of_other_classes_keep_their_names(client, done, tmp_path):
    made = training_data(client, [done])
    data = json.loads(Path(made['folder'], 'annotations.json').read_text())
    data['images'][0]['file_name'] = 'discs.png'
    data['categories'] = [dict(id=1, name='long'), dict(id=2, name='spindle'),
                          dict(id=3, name='giant')]
    for number, each in enumerate(data['annotations']):
        each['category_id'] = 1 + number % 3
    client.post('/api/truth?name=truth.json', content=json.dumps(data)).raise_for_status()
    true = decode(client.get(f'/api/items/{done}/truth'))
    assert true['classes'] == [*CLASSES, 'spindle', 'giant']
    assert np.bincount(true['labels']).tolist() == [0, 4, 4, 4]
    colours = list(map(tuple, true['colours']))
    assert colours[:2] == list(OKABE_ITO[:2])
    assert len(set(colours)) == 4  # none is that of another class


def test_a_fault_of_the_program_is_no_missing_picture(tmp_path, monkeypatch):
    def make_app():
        return create_app(Workspace(tmp_path / 'w'), DiscSegmenter(), folders=[tmp_path])

    monkeypatch.setattr('mmsart.app.page.encode_cells', lambda *_: {}['typo'])
    with Client(make_app(), raise_server_exceptions=False) as client:
        client.add('discs.png', png(draw_discs()[0]))
        item = client.wait()[0]['id']
        answer = client.post(f'/api/items/{item}/frames/0/cells', json={})
        assert (answer.status_code, 'KeyError' in answer.json()['detail']) == (500, True)
        for path in (f'{item}/frames/7', '9/frames/0'):
            answer = client.post(f'/api/items/{path}/cells', json={})
            assert (answer.status_code, 'found no' in answer.json()['detail']) == (404, True)
    with Client(make_app()) as client, pytest.raises(KeyError):  # for the server's log
        client.post(f'/api/items/{item}/frames/0/cells', json={})


@pytest.mark.parametrize(('number', 'status', 'words'), [
    (errno.ENOSPC, 507, 'No space left on device, expected room for what is written'),
    (errno.EIO, 500, 'found a fault of the program')])
def test_a_full_disk_is_no_fault_of_the_program(tmp_path, monkeypatch, number, status, words):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr('mmsart.app.training_data.write_picture', fail)
    app = create_app(Workspace(tmp_path / 'w'), DiscSegmenter(), folders=[tmp_path])
    with Client(app, raise_server_exceptions=False) as client:
        client.add('discs.png', png(draw_discs()[0]))
        item = client.wait()[0]['id']
        answer = client.post('/api/training-data', json=dict(items=[item]))
    assert (answer.status_code, answer.json()['detail'][:len(words)]) == (status, words)


def test_labels_of_many_classes_reach_the_browser():
    masks = PatchMasks.from_bitmaps(np.eye(3, dtype=np.uint8)[:, None])
    cells = Detections(np.ones(3, np.float32), np.array([0, 300, 70_000]), masks, masks.boxes, 'x')
    block = decode(SimpleNamespace(status_code=200, content=encode_cells(cells, {})))
    assert block['labels'].tolist() == [0, 300, 70_000]
    assert block['areas'] == [1, 1, 1]


def test_limits_on_pictures(tmp_path):
    limits = Limits(pixels=100 * 100, items=1)
    app = create_app(Workspace(tmp_path / 'w'), DiscSegmenter(), folders=[tmp_path], limits=limits)
    with Client(app) as client:
        answer = client.add('large.png', png(np.zeros((101, 100), np.uint8)))
        assert 'megapixels' in answer.json()['detail']
        assert client.add('a.png', png(draw_discs(side=100)[0])).status_code == 200
        assert 'found 2 images' in client.add(
            'b.png', png(draw_discs(side=100)[0])).json()['detail']


def test_sizes_are_those_of_what_is_read(tmp_path):
    path = tmp_path / 'stack.tif'
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((50, 50), np.uint8), subfiletype=1)  # a preview is no series
        writer.write(np.zeros((3, 400, 500), np.uint8), metadata=dict(axes='TYX'))
    assert count_megapixels(path, 'stack.tif', Limits()) == pytest.approx(0.6)
    with pytest.raises(UserError, match='0 megapixels, expected at most 0'):
        count_megapixels(path, 'stack.tif', Limits(pixels=199_999))
    with pytest.raises(UserError, match='found 3 frames, expected at most 2'):
        count_megapixels(path, 'stack.tif', Limits(frames=2))


def raise_full(*_):
    raise OSError('full')


def export(client, items, formats, **options):
    answer = client.post('/api/export', json=dict(items=items, formats=formats, **options))
    assert answer.status_code == 200, answer.text
    return zipfile.ZipFile(io.BytesIO(answer.content))


def training_data(client, items):
    answer = client.post('/api/training-data', json=dict(items=items))
    assert answer.status_code == 200, answer.text
    return answer.json()

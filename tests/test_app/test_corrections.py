"""Corrections: what each does to the pixels, undone and redone, and what is trained on."""
import csv
import errno
import io
import json
import os
import stat
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mmsart.apis.config import load_config
from mmsart.app.corrections import FIRST_ID, Cell, Corrections, Edit
from mmsart.app.server import create_app
from mmsart.app.shapes import fill_polygon, paint_stroke, split_patch
from mmsart.app.workspace import Workspace
from mmsart.datasets.train_csv import read_train_csv
from mmsart.postprocessing import complete_config
from mmsart.postprocessing.kept import KeptCrop, KeptFrame
from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.utils import UserError
from tests.test_app.conftest import Client, png
from tests.test_app.fakes import CLASSES, DiscSegmenter, draw_discs


def by_id(cells):
    return {int(cell_id): (cells['boxes'][row].tolist(), cells['patches'][row],
                           int(cells['labels'][row]), float(cells['scores'][row]))
            for row, cell_id in enumerate(cells['ids'])}


def paint(cells, ids=None):
    """Count at each pixel the cells that hold it."""
    canvas = np.zeros((cells['height'], cells['width']), int)
    for row, (x1, y1, x2, y2) in enumerate(cells['boxes'].tolist()):
        if ids is None or cells['ids'][row] in ids:
            canvas[y1:y2, x1:x2] += cells['patches'][row]
    return canvas


def test_delete_undo_redo_without_end(client, done):
    states = [client.cells(done)]
    for _ in range(12):
        states.append(client.edit(done, kind='delete', ids=[int(states[-1]['ids'][0])]))
    assert states[-1]['count'] == 0
    for state in states[-2::-1]:
        assert same(client.edit(done, kind='undo'), state)
    assert client.edit(done, kind='undo')['done'] == 0  # there is nothing more
    for state in states[1:]:
        assert same(client.edit(done, kind='redo'), state)
    client.edit(done, kind='undo')
    assert client.edit(done, kind='delete', ids=client.cells(done)['ids'].tolist())['edits'] == [
        'delete'] * 12  # what was undone is forgotten


def same(cells, others):
    first, second = by_id(cells), by_id(others)
    return list(first) == list(second) and all(
        one[0] == two[0] and np.array_equal(one[1], two[1]) and one[2:] == two[2:]
        for one, two in zip(first.values(), second.values(), strict=True))


def test_a_drawn_cell_takes_what_is_free_and_keeps_it(client, done):
    before = client.cells(done)
    free = paint(before) == 0
    corners = [[20, 20], [120, 20], [120, 90], [20, 90]]
    cells = client.edit(done, kind='draw', shape='polygon', points=corners, label=1)
    drawn, = [row for row, cell_id in enumerate(cells['ids']) if cell_id >= FIRST_ID]
    assert (cells['scores'][drawn], cells['labels'][drawn], cells['made'][drawn]) == (1, 1, 1)
    inside = np.zeros_like(free)
    inside[20:90, 20:120] = True
    assert np.array_equal(paint(cells, [cells['ids'][drawn]]) > 0, inside & free)
    assert paint(cells).max() == 1
    few = dict(score_thr=dict.fromkeys(CLASSES, 0.99))
    client.post('/api/settings', json=dict(settings=few, items=[done]))
    assert client.cells(done)['ids'].tolist() == [FIRST_ID]
    client.edit(done, kind='draw', shape='polygon', points=[[0, 0], [256, 0], [256, 256], [0, 256]],
                label=0)
    client.post('/api/settings', json=dict(settings={}, items=[done]))
    cells = client.cells(done)  # those of the detector come back, but have no pixel left
    assert cells['count'] == 2
    assert (paint(cells) == 1).all()


@pytest.mark.parametrize(('settings', 'areas'), [
    # a drawn square and, found: a cell a quarter below it; itself but for a column; a bar across
    (dict(), {0: 240, 2: 120}),
    (dict(max_lost_share=0.3), {0: 240}),
    (dict(max_lost_share=0.3, nms_iou_thr=0.9), {0: 240}),
    (dict(min_area=121), {0: 240}),
    (dict(pieces='largest'), {0: 240, 2: 60}),
    (dict(pieces='largest', max_lost_share=0.6), {0: 240}),
    (dict(pieces='drop'), {0: 240}),
    (dict(nms_iou_thr=0.2), {0: 240}),
    (dict(remove_overlap=False), {0: 320, 1: 380, 2: 240})])
def test_what_is_found_below_a_drawn_cell_follows_the_settings(settings, areas):
    bitmaps = np.zeros((3, 64, 64), np.uint8)
    bitmaps[0, 20:40, 36:52] = 1
    bitmaps[1, 20:40, 20:39] = 1
    bitmaps[2, 10:50, 22:28] = 1
    masks = PatchMasks.from_bitmaps(bitmaps)
    found = Detections(np.array([.9, .8, .7], np.float32), np.zeros(3, np.int64), masks,
                       masks.boxes.astype(np.float32), 'a', ids=np.arange(3))
    drawn = Cell(FIRST_ID, 0, 1.0, (20, 20, 40, 40), np.ones((20, 20), np.uint8))
    cells = Corrections([Edit('draw', (), (drawn,))], 1).apply(
        found, CLASSES, complete_config(settings, CLASSES))
    assert dict(zip(cells.ids.tolist(), cells.masks.areas.tolist(), strict=True)) == {
        FIRST_ID: 400, **areas}


def test_merge_split_and_classes(client, done):
    before = client.cells(done)
    first, second = (int(each) for each in before['ids'][:2])
    merged = client.edit(done, kind='merge', ids=[first, second])
    assert merged['count'] == before['count'] - 1
    new, = set(merged['ids'].tolist()) - set(before['ids'].tolist())
    assert np.array_equal(paint(merged, [new]), paint(before, [first, second]))
    assert by_id(merged)[new][3] == max(by_id(before)[each][3] for each in (first, second))
    relabelled = client.edit(done, kind='relabel', ids=[new], label=1)
    newer, = set(relabelled['ids'].tolist()) - set(merged['ids'].tolist())
    assert by_id(relabelled)[newer][2] == 1
    (x1, y1, x2, y2), *_ = by_id(before)[int(before['ids'][2])]
    middle = (x1 + x2) / 2
    split = client.edit(done, kind='split', points=[[middle, y1 - 5], [middle, y2 + 5]])
    assert split['count'] == relabelled['count'] + 1
    parts = set(split['ids'].tolist()) - set(relabelled['ids'].tolist())
    assert len(parts) == 2
    assert np.array_equal(paint(split, parts), paint(before, [int(before['ids'][2])]))
    sizes = sorted(by_id(split)[each][1].sum() for each in parts)
    assert sizes[1] < 1.3 * sizes[0]
    assert split['edits'] == ['merge', 'change class', 'split']


def test_extend_and_erase(client, done):
    before = client.cells(done)
    cell = int(before['ids'][0])
    (x1, y1, x2, _), *_ = by_id(before)[cell]
    stroke = dict(shape='brush', points=[[(x1 + x2) / 2, y1], [(x1 + x2) / 2, y1 - 6]], radius=3)
    more = client.edit(done, kind='extend', id=cell, **stroke)
    newer, = set(more['ids'].tolist()) - set(before['ids'].tolist())
    gained = paint(more, [newer]) - paint(before, [cell])
    assert gained.min() == 0
    assert gained.sum() > 10
    less = client.edit(done, kind='erase', id=newer, **stroke)
    newest, = set(less['ids'].tolist()) - set(more['ids'].tolist())
    assert (paint(less, [newest]) <= paint(before, [cell])).all()
    gone = client.edit(done, kind='erase', id=newest, shape='brush', points=[[128, 128]],
                       radius=250)
    assert gone['count'] == before['count'] - 1


def test_what_does_not_touch_the_selected_cell_is_about_another(client, done):
    before = client.cells(done)
    cell, other = before['ids'][:2].tolist()
    right = by_id(before)[cell][0][2]
    row = int(np.flatnonzero(paint(before, [cell])[:, right - 1])[0])
    for gap, kind in ((3, 'draw'), (2, 'extend')):  # a pixel between; side by side
        made = client.edit(done, kind='extend', id=cell, label=1, shape='brush',
                           points=[[right + gap, row + 0.5]], radius=2)
        assert made['edits'] == [kind]
        assert (cell in made['ids'], made['count']) == (
            kind == 'draw', before['count'] + (kind == 'draw'))
        client.edit(done, kind='undo')
    (x1, y1, x2, y2), *_ = by_id(before)[other]
    across = [[(x1 + x2) / 2, y1 - 2], [(x1 + x2) / 2, y2 + 2]]
    assert set(before['ids']) - set(client.edit(
        done, kind='split', id=cell, points=across)['ids']) == {other}
    client.edit(done, kind='undo')
    middle, beyond = (np.array(by_id(before)[each][0]).reshape(2, 2).mean(0)
                      for each in (cell, other))
    answer = client.post(f'/api/items/{done}/frames/0/edits', json=dict(
        kind='split', id=cell, points=[middle.tolist(), (2 * beyond - middle).tolist()]))
    assert 'divides no cell' in answer.json()['detail']  # the line was meant for this cell


def test_what_changes_no_pixel_and_no_class_is_no_correction(client, done):
    before = client.cells(done)
    boxes = by_id(before)
    cell, other = before['ids'][:2].tolist()

    def stroke(inside):
        (x1, y1, x2, y2), *_ = boxes[inside]
        return dict(shape='brush', points=[[(x1 + x2) / 2, (y1 + y2) / 2]], radius=2)

    for request, problem in (
            (dict(kind='erase', id=cell, **stroke(other)), 'erase: found no pixel'),
            (dict(kind='extend', id=cell, **stroke(cell)), 'extend: found every pixel'),
            (dict(kind='relabel', ids=[cell, other], label=0), 'cells of the class round')):
        answer = client.post(f'/api/items/{done}/frames/0/edits', json=request)
        assert (answer.status_code, problem in answer.json()['detail']) == (400, True)
    assert same(client.cells(done), before)
    assert client.cells(done)['edits'] == []
    client.edit(done, kind='relabel', ids=[cell], label=1)
    cells = client.edit(done, kind='relabel', ids=[FIRST_ID, other], label=1)
    assert (FIRST_ID in cells['ids'], other in cells['ids']) == (True, False)  # it was one already


class SeamSegmenter(DiscSegmenter):
    """Find a cell on a seam: the left tile the better a part of it, the right one all."""

    def _find(self, image, img_id):
        def tile(left, right, core, *cells):
            masks = PatchMasks.from_patches(
                [np.ones((y2 - y1, x2 - x1), np.uint8) for _, (x1, y1, x2, y2) in cells],
                np.array([box for _, box in cells]) - [left, 0, left, 0], 64, right - left)
            return KeptCrop(Detections(
                np.array([score for score, _ in cells], np.float32), np.zeros(len(cells), int),
                masks, masks.boxes, img_id), (left, 0, right, 64), core)

        return KeptFrame.number([
            tile(0, 56, (0, 0, 48, 64), (0.9, (5, 5, 15, 15)), (0.6, (44, 20, 56, 36))),
            tile(40, 96, (48, 0, 96, 64), (0.3, (44, 20, 60, 36)))], (64, 96), img_id)


FEW, MANY = ({'score_thr': dict.fromkeys(CLASSES, value)} for value in (0.5, 0.25))
SMALL = MANY | {'max_area': dict.fromkeys(CLASSES, 200)}


@pytest.mark.parametrize('kind', ['delete', 'relabel', 'erase', 'split'])
@pytest.mark.parametrize(('before', 'after'), [(FEW, MANY), (MANY, FEW), (MANY, SMALL)],
                         ids=['lower', 'higher', 'smaller'])
def test_a_cell_on_a_seam_stays_corrected_whatever_thresholds_choose(
        tmp_path, kind, before, after):
    with Client(create_app(Workspace(tmp_path / 'w'), SeamSegmenter(), folders=[tmp_path])
                ) as client:
        client.add('seam.png', png(np.zeros((64, 96), np.uint8)))
        item = client.wait()[0]['id']
        shown = [client.cells(item, settings=each)['ids'].tolist() for each in (before, after)]
        assert sorted(map(len, shown)) == [2, 2]
        other, cell = shown[0]
        assert shown[1][1] != cell  # another tile's
        client.post('/api/settings', json=dict(settings=before, items=[item])).raise_for_status()
        request = dict(delete=dict(ids=[cell]), relabel=dict(ids=[cell], label=1),
                       erase=dict(id=cell, shape='brush', points=[[50, 20]], radius=3),
                       split=dict(id=cell, points=[[40, 28], [64, 28]]))[kind]
        corrected = client.edit(item, kind=kind, **request)
        assert other in corrected['ids']
        assert same(client.cells(item, settings=after), corrected)
        client.edit(item, kind='undo')
        assert client.cells(item, settings=after)['ids'].tolist() == shown[1]


class TwiceSegmenter(DiscSegmenter):
    """Find a cell twice, the better one larger by a column."""

    def _find(self, image, img_id):
        bitmaps = np.zeros((2, 64, 64), np.uint8)
        bitmaps[0, 10:30, 10:30] = bitmaps[1, 10:30, 11:30] = 1
        masks = PatchMasks.from_bitmaps(bitmaps)
        found = Detections(np.array([.9, .6], np.float32), np.zeros(2, int), masks, masks.boxes)
        return KeptFrame.number([KeptCrop(found)], (64, 64), img_id)


def test_a_deleted_cell_does_not_come_back_as_what_it_suppressed(tmp_path):
    with Client(create_app(Workspace(tmp_path / 'w'), TwiceSegmenter(), folders=[tmp_path])
                ) as client:
        client.add('twice.png', png(np.zeros((64, 64), np.uint8)))
        item, smaller = client.wait()[0]['id'], dict(max_area=390)
        assert client.cells(item)['areas'] == [400]
        assert client.cells(item, settings=smaller)['areas'] == [380]
        client.edit(item, kind='delete', ids=client.cells(item)['ids'].tolist())
        assert client.cells(item, settings=smaller)['count'] == 0
        for settings in ({}, smaller):
            client.post('/api/settings', json=dict(settings=settings, items=[item]))
            answer = client.post('/api/export', json=dict(items=[item], formats=['table']))
            summary = zipfile.ZipFile(io.BytesIO(answer.content)).read('summary.csv').decode()
            row, = csv.DictReader(io.StringIO(summary))
            assert (row['cells'], row['removed_by_hand']) == ('0', '1')
        client.post('/api/settings', json=dict(settings={}, items=[item]))
        client.edit(item, kind='undo')
        assert client.cells(item, settings=smaller)['areas'] == [380]


@pytest.mark.parametrize(('request_', 'problem'), [
    (dict(kind='explode'), 'expected one of delete'),
    (dict(kind='delete', ids=[]), 'expected a list of cells'),
    (dict(kind='delete', ids=[123456]), 'not shown any more'),
    (dict(kind='merge', ids=[0]), 'expected at least 2'),
    (dict(kind='relabel', ids=[0], label=2), 'expected 0 to 1'),
    (dict(kind='split', points=[[0, 0], [1, 0]]), 'divides no cell'),
    (dict(kind='draw', shape='polygon', points=[[0, 0], [9, 9]], label=0), '2 corners'),
    (dict(kind='draw', shape='polygon', points=[[-9, -9], [-5, -9], [-5, -5]], label=0), 'free'),
    (dict(kind='draw', shape='brush', points=[[9, 9]], radius=0, label=0), 'radius'),
    (dict(kind='draw', shape='star', points=[[9, 9]], label=0), 'polygon or brush'),
    (dict(kind='draw', shape='polygon', points='all', label=0), 'points'),
    (dict(kind='split', points=[[0, 0], [10 ** 400, 0]], id=0), 'points'),
    (dict(kind='split', points=[[0, 0], [9, 9]], id='first'), "id: found 'first'"),
    (dict(kind='erase', shape='brush', points=[[9, 9]], radius=2), 'id: found None')])
def test_what_cannot_be_done_changes_nothing(client, done, request_, problem):
    before = client.cells(done)
    answer = client.post(f'/api/items/{done}/frames/0/edits', json=request_)
    assert answer.status_code == 400
    assert problem in answer.json()['detail']
    assert same(client.cells(done), before)


def test_settings_are_refused_before_a_correction_is_made(client, done):
    before = client.cells(done)
    for settings in ([], dict(min_area=-1), dict(pieces='drop')):
        answer = client.post(f'/api/items/{done}/frames/0/edits', json=dict(
            kind='delete', ids=before['ids'][:1].tolist(), settings=settings))
        assert answer.status_code == 400
    assert client.cells(done)['edits'] == []


@pytest.mark.parametrize('kind', ['delete', 'undo'])
def test_a_kill_between_record_and_corrections_loses_no_work(client, done, tmp_path, monkeypatch,
                                                             kind):
    def stop(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    cells = client.edit(done, kind='delete', ids=client.cells(done)['ids'][:1].tolist())
    with monkeypatch.context() as patch:
        patch.setattr(Corrections, 'save', stop)
        answer = client.post(f'/api/items/{done}/frames/0/edits', json=dict(
            kind=kind, ids=cells['ids'][:1].tolist()))
    assert answer.status_code == 507
    item = Workspace(tmp_path / 'workspace').get(done)
    assert item.holds_work
    assert item.revision == cells['revision'] + 1  # who has seen less looks again
    assert same(client.cells(done), cells)  # in memory, where nothing was cut off
    assert client.state()['items'][0]['revision'] == cells['revision']


def test_no_window_corrects_what_another_one_has_corrected(client, done):
    url, cells = f'/api/items/{done}/frames/0/edits', client.cells(done)
    first, second = cells['ids'][:2].tolist()
    seen = client.edit(done, kind='delete', ids=[first], revision=cells['revision'])
    client.edit(done, kind='undo')
    newest = client.edit(done, kind='delete', ids=[second])  # as many corrections as were seen
    assert newest['done'] == seen['done'] == 1
    answer = client.post(url, json=dict(kind='undo', revision=seen['revision']))
    assert answer.status_code == 409
    assert 'another window' in answer.json()['detail']
    assert same(client.cells(done), newest)
    assert client.state()['items'][0]['revision'] == newest['revision']
    assert client.edit(done, kind='undo', revision=newest['revision'])['count'] == cells['count']


def test_no_window_corrects_cells_of_before_a_new_run(client, done):
    seen = client.cells(done)
    client.reread(done).raise_for_status()
    client.wait()
    found = client.cells(done)
    answer = client.post(f'/api/items/{done}/frames/0/edits', json=dict(
        kind='delete', ids=seen['ids'][:1].tolist(), revision=seen['revision']))
    assert answer.status_code == 409
    assert same(client.cells(done), found)


def test_measurements_follow(client, done):
    cells = client.cells(done)
    first, second = cells['ids'][:2].tolist()

    def measure(*ids):
        return client.post(f'/api/items/{done}/frames/0/measurements',
                           json=dict(ids=list(ids))).json()

    found = measure(first, second, 999)
    assert [row['area_px'] for row in found] == cells['areas'][:2]
    assert [row['label'] for row in found] == [1, 2]
    merged = client.edit(done, kind='merge', ids=[first, second])
    new, = set(merged['ids'].tolist()) - set(cells['ids'].tolist())
    assert measure(new)[0]['area_px'] == sum(cells['areas'][:2])
    assert measure(first) == []


def made(client, item):
    """Read what an export says of a hand: how many cells of each kind, and the sums."""
    answer = client.post('/api/export', json=dict(items=[item], formats=['table']))
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    table, summary = (list(csv.DictReader(io.StringIO(archive.read(name).decode())))
                      for name in ('discs_cells.csv', 'summary.csv'))
    counts = Counter(row['made'] for row in table)
    sums = [int(summary[0][f'{way}_by_hand']) for way in ('drawn', 'changed', 'removed')]
    assert sums[:2] == [counts['drawn'], counts['changed']]
    return counts['found'], *sums


def test_an_export_tells_what_a_hand_has_done(client, done):
    first, second, third, fourth, fifth = client.cells(done)['ids'][:5].tolist()
    corners = [[0, 0], [256, 0], [256, 256], [0, 256]]

    def edit(**asked):
        before = set(client.cells(done)['ids'].tolist())
        return sorted(set(client.edit(done, **asked)['ids'].tolist()) - before)

    assert made(client, done) == (12, 0, 0, 0)
    changed, = edit(kind='relabel', ids=[first], label=1)
    assert made(client, done) == (11, 0, 1, 0)
    drawn, = edit(kind='draw', shape='polygon', points=corners, label=0)
    assert made(client, done) == (11, 1, 1, 0)
    drawn, = edit(kind='relabel', ids=[drawn], label=1)
    assert made(client, done) == (11, 1, 1, 0)  # nobody has found it
    edit(kind='delete', ids=[second, changed])
    assert made(client, done) == (10, 1, 0, 2)
    merged, = edit(kind='merge', ids=[third, fourth, drawn])
    assert made(client, done) == (8, 0, 1, 2)
    row = {each['id']: each for each in client.post(
        f'/api/items/{done}/frames/0/measurements', json=dict(ids=[merged, fifth])).json()}
    assert (row[merged]['made'], row[fifth]['made']) == ('changed', 'found')
    edit(kind='delete', ids=[merged])
    assert made(client, done) == (8, 0, 0, 4)
    edit(kind='undo')
    client.post('/api/settings', json=dict(
        settings=dict(score_thr=dict.fromkeys(CLASSES, 0.99)), items=[done])).raise_for_status()
    assert made(client, done) == (0, 0, 1, 0)  # the thresholds leave out what was deleted


def test_of_a_divided_cell_something_is_left(client, done):
    cells = client.cells(done)
    x1, y1, x2, y2 = cells['boxes'][0].tolist()
    middle = (x1 + x2) / 2
    split = client.edit(done, kind='split', id=int(cells['ids'][0]),
                        points=[[middle, y1 - 5], [middle, y2 + 5]])
    parts = sorted(set(split['ids'].tolist()) - set(cells['ids'].tolist()))
    client.edit(done, kind='delete', ids=parts[:1])
    assert made(client, done) == (11, 0, 1, 0)
    client.edit(done, kind='delete', ids=parts[1:])
    assert made(client, done) == (11, 0, 0, 1)


def test_corrections_are_truth_to_train_on(client, done):
    client.add('other.png', png(draw_discs(seed=3)[0]))
    other = client.wait()[1]['id']
    client.add('mixed.png', png(draw_discs(seed=4)[0]))
    mixed = client.wait()[2]['id']
    client.edit(mixed, kind='relabel', ids=client.cells(mixed)['ids'][:1].tolist(), label=1)
    client.edit(other, kind='delete', ids=client.cells(other)['ids'].tolist())
    assert client.post('/api/training-data', json=dict(items='checked')).status_code == 400
    for item in (done, other, mixed):
        client.post(f'/api/items/{item}', json=dict(action='check'))
    made = client.post('/api/training-data', json=dict(items='checked')).json()
    assert (made['images'], made['cells'], made['mixed']) == (3, 24, ['mixed'])
    folder = made['folder']
    assert made['command'] == f'mmsart train CONFIG --data {folder}'
    table = read_train_csv(f'{folder}/train.csv', CLASSES)
    assert table.image_ids.tolist() == ['discs', 'other']
    masks = PatchMasks.from_annotations(table.annotations[table.instances(0)].tolist(), 256, 256)
    cells = client.cells(done)
    assert np.array_equal(masks.to_ndarray().sum(0), paint(cells))
    coco = json.loads(Path(folder, 'annotations.json').read_text())
    assert [image['file_name'] for image in coco['images']] == [
        'discs.png', 'other.png', 'mixed.png']
    assert len({each['id'] for each in coco['annotations']}) == 24
    assert 'score' not in coco['annotations'][0]
    cfg = load_config('configs/demo/maskrcnn_r18_two_stage.py', [f'data_root={folder}/'])
    assert cfg.train_dataloader.dataset.data_root == f'{folder}/'


def test_data_to_train_on_are_for_whom_the_umask_admits(client, done, monkeypatch):
    before = os.umask(0o077)
    try:
        with monkeypatch.context() as patch:
            patch.delattr(os, 'umask')  # to ask for it would change it for other threads too
            made = client.post('/api/training-data', json=dict(items=[done])).json()
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path(made['folder']).stat().st_mode) == 0o700


def test_data_to_train_on_written_at_once_get_a_folder_each(client, done, tmp_path, monkeypatch):
    monkeypatch.setattr('mmsart.app.server.time.strftime', lambda _: 'now')

    def write(_):
        return Path(client.post('/api/training-data', json=dict(items=[done])).json()['folder'])

    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(write, range(4)))
    assert sorted(folder.name for folder in folders) == ['now', 'now_2', 'now_3', 'now_4']
    tables = {(folder / 'train.csv').read_bytes() for folder in folders}
    assert len(tables) == 1
    workspace = tmp_path / 'workspace'
    assert sorted((workspace / 'training_data').iterdir()) == sorted(folders)
    assert list((workspace / 'incoming').iterdir()) == []


def test_polygons_fill_the_pixels_that_they_hold():
    patch, box = fill_polygon([[2, 3], [6, 3], [6, 8], [2, 8]], (20, 20))
    assert box == (2, 3, 6, 8)
    assert patch.all()
    patch, box = fill_polygon([[-50, -50], [4, -50], [4, 4], [-50, 4]], (20, 20))
    assert box == (0, 0, 4, 4)
    assert fill_polygon([[30, 30], [40, 30], [40, 40]], (20, 20))[0].size == 0
    assert fill_polygon([[0, 0], [1e9, 0], [1e9, 1e9], [0, 1e9]], (20, 20))[0].all()
    with pytest.raises(UserError, match='finite'):
        fill_polygon([[0, 0], [float('nan'), 0], [3, 3]], (20, 20))


@pytest.mark.parametrize('points', [
    [[50, 0], [-100, 20], [50, 100]], [[20, 20], [500, -300], [90, 9_000]],
    [[-1e5, 40], [64, 30], [1e5, 50]], [[-10, -10], [-5, 300], [-20, 40]]])
def test_what_reaches_beyond_the_image_is_cut_off_there(points):
    away, size = 400, (90, 120)
    larger = tuple(side + 2 * away for side in size)
    shifted = [[x + away, y + away] for x, y in points]
    # OpenCV rounds the ends of what it draws, which leaves a rim of single pixels.
    for paint_shape, rim in ((fill_polygon, 0), (partial(paint_stroke, radius=9), 0.02)):
        canvas = paint_upon(size, *paint_shape(points, size=size))
        whole = paint_upon(larger, *paint_shape(shifted, size=larger))[away:-away, away:-away]
        assert (canvas != whole).sum() <= rim * whole.sum()


def paint_upon(size, patch, box):
    canvas = np.zeros(size, np.uint8)
    canvas[box[1]:box[3], box[0]:box[2]] = patch
    return canvas


def test_a_brush_paints_discs_along_its_way():
    patch, box = paint_stroke([[10.5, 10.5]], 5, (40, 40))
    ys, xs = np.mgrid[box[1]:box[3], box[0]:box[2]]
    distance = np.hypot(ys - 10, xs - 10)
    assert patch[distance <= 4.5].all()
    assert not patch[distance > 6].any()
    patch, box = paint_stroke([[10, 10], [30, 10]], 3, (40, 40))
    assert box[2] - box[0] > 24
    assert patch[:, 5:-5].all(0).all()


@pytest.mark.parametrize('seed', range(10))
def test_split_loses_no_pixel(seed):
    rng = np.random.default_rng(seed)
    ys, xs = np.mgrid[:40, :60]
    patch = (((ys - 20) / 15) ** 2 + ((xs - 30) / 25) ** 2 <= 1).astype(np.uint8)
    line = [[100 + rng.uniform(20, 40), 195], [100 + rng.uniform(20, 40), 245]]
    parts = split_patch(patch, (100, 200, 160, 240), line)
    assert len(parts) == 2
    assert np.array_equal(sum(part.astype(int) for part in parts), patch)
    assert min(part.sum() for part in parts) > 200
    with pytest.raises(UserError, match='divides no cell'):
        split_patch(patch, (100, 200, 160, 240), [[130, 205], [130, 215]])


def test_damaged_corrections_are_named(tmp_path):
    path = tmp_path / 'edits.json'
    assert Corrections.load(path) == Corrections()
    path.write_text('{"done": 1}')
    with pytest.raises(UserError, match='expected corrections'):
        Corrections.load(path)

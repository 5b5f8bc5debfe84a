import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsart.datasets.classes import CLASSES
from mmsart.formats.submission import (
    Submission,
    merge_submissions,
    read_submission,
    write_submission,
)
from mmsart.formats.submission_check import check_submission
from mmsart.postprocessing import PostProcessor
from mmsart.structures.detections import Detections
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.rle import kaggle_to_bitmap
from mmsart.utils import MissingFileError, UserError
from tests.test_postprocessing.scenes import random_detections

SIZE = (4, 5)


def check(*rows, sizes=SIZE, **options):
    ids, predicted = zip(*rows, strict=True)
    submission = Submission('s.csv', list(ids), list(predicted), list(range(2, 2 + len(rows))))
    return [problem.message for problem in check_submission(submission, sizes, **options)]


def test_good_rows_pass():
    assert check(('a', '1 2 5 1'), ('a', '3 2 20 1'), ('b', '1 20'), ('c', '')) == []
    assert check(('a', '1 20'), ('b', '1 6'), sizes={'a': (4, 5), 'b': (2, 3)}) == []


@pytest.mark.parametrize(('row', 'words'), [
    (('b', '1 2 3'), ['3 run values', 'even']),
    (('b', '1 x'), ["'x'", 'whole numbers']),
    (('b', '1.0 2'), ["'1.0'"]),
    (('b', '0 2'), ['start 0']),
    (('b', '1 0'), ['length 0']),
    (('b', '5 -2'), ['length -2']),
    (('b', '20 2'), ['20 2', 'past the image', '20 pixels']),
    (('b', '5 2 1 2'), ['1 2', 'sorted']),
    (('b', '5 3 7 1'), ['7 1', 'overlap']),
    (('a', '7 2 20 1'), ['shares pixel', 'row 1, column 1', 'number 7', 'line 2']),
    (('', '9 1'), ['empty id']),
    (('a', ' '), ['empty prediction beside other rows']),
])
def test_bad_row_is_named(row, words):
    problems = check(('a', '1 1 6 2'), ('b', '1 1') if row[0] != 'b' else ('c', '1 1'), row)
    assert len(problems) == 1
    for word in ['line 4', *words]:
        assert word in problems[0]


def test_unknown_and_missing_ids():
    sizes = {'a': SIZE, 'b': SIZE}
    assert check(('a', '1 1'), ('z', '1 1'), sizes=sizes) == [
        "line 3, image 'z': unknown id, expected one of 2 images",
        "image 'b': no row, expected at least one"]
    assert check(('a', '1 1'), sizes=sizes, allow_missing=True) == []


def test_several_problems_in_the_order_of_lines():
    problems = check(('a', '1 3'), ('b', '1'), ('a', '3 1'), ('b', 'x x'), ('a', '2 1'))
    assert [problem.split(',')[0] for problem in problems] == ['line 3', 'line 4', 'line 5',
                                                               'line 6']
    assert len(check(('a', '1 3'), ('b', '1'), ('a', '3 1'), ('b', 'x x'), limit=2)) == 2


def test_overlap_behind_a_short_run_is_found():
    """The clash is with a long run that began before the neighbour."""
    problems = check(('a', '1 10'), ('b', '1 1'), ('a', '12 1'), ('a', '9 1'))
    assert len(problems) == 1
    assert 'line 5' in problems[0]
    assert 'line 2' in problems[0]


@pytest.mark.parametrize(('text', 'words'), [
    ('', ['line 1', 'id,predicted']),
    ('id,annotation\na,1 1\n', ['line 1', 'id,annotation']),
    ('id,predicted\na,1 1\nb,1 1,2\n', ['line 3', '3 fields']),
    ('id,predicted\na,1 1\n\nb\n', ['line 4', '1 fields']),
])
def test_malformed_tables(tmp_path, text, words):
    path = tmp_path / 's.csv'
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read_submission(path)
    for word in words:
        assert word in str(error.value)


def test_no_file(tmp_path):
    with pytest.raises(MissingFileError):
        read_submission(tmp_path / 's.csv')


def detections_of(bitmaps):
    masks = CroppedMasks.from_bitmaps(np.array(bitmaps, np.uint8))
    return Detections(np.ones(len(masks)), np.zeros(len(masks)), masks, masks.boxes)


def test_written_file(tmp_path):
    path = tmp_path / 'out' / 's.csv'
    found = detections_of([[[1, 1, 0], [0, 0, 1]], [[0, 0, 0], [0, 0, 0]], [[0, 0, 1], [0, 0, 0]]])
    predictions = [('b', found), ('a', found.masks.to_rles()[:1]), ('c', [])]
    assert write_submission(path, iter(predictions), ['a', 'b', 'c']) == 3
    assert path.read_text() == 'id,predicted\na,1 2 6 1\nb,1 2 6 1\nb,3 1\nc,\n'
    assert check_submission(read_submission(path), dict.fromkeys('abc', (2, 3))) == []


@pytest.mark.parametrize(('predictions', 'words'), [
    ([('a', [])], ["'b'", 'no predictions']),
    ([('a', []), ('b', []), ('c', [])], ["'c' is unknown"]),
    ([('a', []), ('b', []), ('a', [])], ["'a' is there twice"]),
    ([('a', detections_of([[[1, 1]], [[0, 1]]])), ('b', [])], ["'a'", 'share a pixel']),
])
def test_bad_predictions_write_nothing(tmp_path, predictions, words):
    with pytest.raises(UserError) as error:
        write_submission(tmp_path / 's.csv', predictions, ['a', 'b'])
    for word in words:
        assert word in str(error.value)
    assert list(tmp_path.iterdir()) == []


def assert_submittable(path, scenes, config):
    """Post-process, write, check by the fast check and by painting every row."""
    process = PostProcessor(CLASSES, **config)
    found = {f'i{n}': process(scene) for n, scene in enumerate(scenes)}
    sizes = {f'i{n}': (scene.masks.height, scene.masks.width) for n, scene in enumerate(scenes)}
    write_submission(path, found.items(), list(sizes))
    submission = read_submission(path)
    assert check_submission(submission, sizes) == []
    counts = {img_id: np.zeros(size, int) for img_id, size in sizes.items()}
    for img_id, text in zip(submission.ids, submission.predicted, strict=True):
        counts[img_id] += kaggle_to_bitmap(text, sizes[img_id])
    for img_id, count in counts.items():
        assert count.max() <= 1
        np.testing.assert_array_equal(count, found[img_id].masks.to_ndarray().sum(0))


CONFIGS = [
    {},
    {'pieces': 'drop', 'max_lost_share': 0.2, 'min_area': 5},
    {'fill_holes': True, 'largest_component': True, 'nms_iou_thr': 0.3, 'pieces': 'largest'},
    {'vote': 'drop', 'score_thr': {'shsy5y': 0.3, 'astro': 0.5, 'cort': 0.1}, 'fill_holes': True},
]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(CONFIGS))
def test_random_sets_share_no_pixel(tmp_path_factory, seed, config):
    rng = np.random.default_rng(seed)
    scenes = [random_detections(rng, *rng.integers(1, 50, 2)) for _ in range(3)]
    assert_submittable(tmp_path_factory.mktemp('out') / 's.csv', scenes, config)


@pytest.mark.skipif('MMSART_LONG_TESTS' not in os.environ, reason='set MMSART_LONG_TESTS=1')
def test_ten_thousand_sets_share_no_pixel(tmp_path):
    rng = np.random.default_rng(0)
    for config in CONFIGS:
        scenes = [random_detections(rng) for _ in range(10_000 // len(CONFIGS))]
        assert_submittable(tmp_path / 's.csv', scenes, config)


def test_ids_in_any_script_on_systems_of_another(tmp_path, monkeypatch):
    """Where text files are not UTF-8 unless one says so."""
    right = Path.open
    monkeypatch.setattr(Path, 'open', lambda path, mode='r', **options: right(
        path, mode, **({} if 'b' in mode else {'encoding': 'ascii'}) | options))
    cells = [(name, []) for name in ('Zellen größer', '細胞')]
    for number, (name, masks) in enumerate(cells):
        write_submission(tmp_path / f'{number}.csv', [(name, masks)], [name])
    merge_submissions([tmp_path / '0.csv', tmp_path / '1.csv'], tmp_path / 'all.csv')
    assert read_submission(tmp_path / 'all.csv').ids == [name for name, _ in cells]

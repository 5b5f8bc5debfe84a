"""Files of predictions: round trip, and refusal of anything that could run."""
import os
import pickle
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from mmengine.config import ConfigDict

from mmsart.formats.predictions import load_predictions, save_predictions, to_plain
from mmsart.postprocessing import load_postprocess
from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.predictions import Predictions
from mmsart.utils import MissingFileError, UserError

CLASSES = ('one', 'two', 'three')


def make(number=2, probs=True, truth=('1 2',), name='a'):
    rng = np.random.default_rng(number)
    masks = PatchMasks.from_annotations([f'{i + 1} 3' for i in range(number)], 4, 5)
    found = Detections(
        rng.random(number, np.float32), rng.integers(0, 3, number), masks,
        rng.random((number, 4), np.float32), name,
        rng.random((number, 28, 28), np.float32).astype(np.float16) if probs else None)
    true_masks = None if truth is None else PatchMasks.from_annotations(truth, 4, 5)
    return Predictions(found, true_masks, 'two', 's')


def assert_same(found, expected):
    """Compare every field; masks by their pixels."""
    for key in ('img_id', 'size', 'cell_type', 'sample_id'):
        assert getattr(found, key) == getattr(expected, key)
    for key in ('scores', 'labels', 'bboxes', 'mask_probs'):
        ours, theirs = getattr(found.detections, key), getattr(expected.detections, key)
        if theirs is None:
            assert ours is None
        else:
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)
            ours += 1  # writable
    np.testing.assert_array_equal(
        found.detections.masks.to_ndarray(), expected.detections.masks.to_ndarray())
    assert (found.truth is None) == (expected.truth is None)
    if found.truth is not None:
        np.testing.assert_array_equal(found.truth.to_ndarray(), expected.truth.to_ndarray())


@pytest.mark.parametrize('image', [
    make(), make(0), make(3, probs=False), make(truth=None), make(truth=())])
def test_round_trip(tmp_path, image):
    other = replace(image, detections=replace(image.detections, img_id='b'))
    save_predictions(tmp_path / 'p.pkl', [image, to_plain(other)], CLASSES)
    saved = load_predictions(tmp_path / 'p.pkl')
    assert saved.classes == CLASSES
    for found, expected in zip(saved.images, (image, other), strict=True):
        assert_same(found, expected)


def test_nothing_is_held_twice(tmp_path):
    """Soft masks of some thousand images are gigabytes."""
    soft = np.zeros((10, 200, 200), np.float16)
    images = [to_plain(replace(image, detections=replace(image.detections, mask_probs=soft)))
              for image in (make(10, name=str(number)) for number in range(8))]
    size = sum(len(image['mask_probs']['data']) for image in images)
    tracemalloc.start()
    try:
        save_predictions(tmp_path / 'p.pkl', images, CLASSES)
        assert tracemalloc.get_traced_memory()[1] < size / 2
        tracemalloc.reset_peak()
        saved = load_predictions(tmp_path / 'p.pkl')
        assert tracemalloc.get_traced_memory()[1] < 1.5 * size
    finally:
        tracemalloc.stop()
    assert len(saved.images) == 8


def test_the_format_is_what_earlier_versions_wrote(tmp_path):
    """A file put together by hand, key by key, so that old files stay readable."""
    image = dict(
        img_id='a', height=2, width=3, scores=dict(shape=[1], data=np.float32([.5]).tobytes()),
        labels=dict(shape=[1], data=np.int64([2]).tobytes()),
        bboxes=dict(shape=[1, 4], data=np.float32([0, 0, 2, 1]).tobytes()), rles=[b'024'],
        cell_type='cort', sample_id='s', truth=['1 2 6 1'], mask_probs=None)
    (tmp_path / 'p.pkl').write_bytes(pickle.dumps(dict(
        format='mmsart-predictions-1', classes=['shsy5y', 'astro', 'cort'], images=[image])))
    saved = load_predictions(tmp_path / 'p.pkl')
    assert saved.classes == ('shsy5y', 'astro', 'cort')
    assert saved.postprocess is None
    found, = saved.images
    assert found.detections.masks.to_ndarray().tolist() == [[[1, 1, 0], [0, 0, 0]]]
    assert found.truth.to_ndarray().tolist() == [[[1, 1, 0], [0, 0, 1]]]
    save_predictions(tmp_path / 'again.pkl', saved.images, saved.classes)
    assert pickle.loads((tmp_path / 'again.pkl').read_bytes())['images'] == [image]


def test_settings_are_kept_as_plain_data(tmp_path):
    settings = load_postprocess(dict(score_thr=0.4, pieces='drop'), CLASSES)
    save_predictions(tmp_path / 'p.pkl', [make()], CLASSES, ConfigDict(settings))
    assert load_predictions(tmp_path / 'p.pkl').postprocess == settings


def test_settings_that_are_none_are_refused(tmp_path):
    save_predictions(tmp_path / 'p.pkl', [make()], CLASSES, 'settings.json')
    with pytest.raises(UserError, match=r"p\.pkl: postprocess: found 'settings\.json', expected"):
        load_predictions(tmp_path / 'p.pkl')


class Hostile:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


def test_a_hostile_pickle_runs_nothing(tmp_path):
    canary = tmp_path / 'ran'
    (tmp_path / 'p.pkl').write_bytes(pickle.dumps(Hostile(canary)))
    with pytest.raises(UserError, match='mkdir, expected plain data only'):
        load_predictions(tmp_path / 'p.pkl')
    assert not canary.exists()
    pickle.loads((tmp_path / 'p.pkl').read_bytes())  # the canary does sing
    assert canary.exists()


@pytest.mark.parametrize('content', [b'', b'text', pickle.dumps([]), pickle.dumps({'format': 1})])
def test_other_files_are_refused_in_one_line(tmp_path, content):
    (tmp_path / 'p.pkl').write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_predictions(tmp_path / 'p.pkl')
    assert str(tmp_path / 'p.pkl') in str(caught.value)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(('change', 'message'), [
    (dict(height=0), 'found 0 x 5 pixels'),
    (dict(height=6), r'mask 0: found runs over 20 pixels, expected 30'),
    (dict(scores=np.zeros(3, np.float32)), 'found 3 scores beside'),
    (dict(rles=[b'04']), 'found 2 scores beside'),
    (dict(rles=[b'garbage!!~~\xff', b'04']), 'mask 0'),
    (dict(scores=np.array([np.nan, 1], np.float32)), 'not finite'),
    (dict(labels=np.array([0, 9])), 'labels 0 to 9, expected 0 to 2'),
    (dict(truth=['19 5']), 'true object 0: run 19 5 ends past the image'),
    (dict(truth=['x']), 'true object 0: found'),
])
def test_damaged_numbers_are_named(tmp_path, change, message):
    path = tmp_path / 'p.pkl'
    plain = to_plain(make())
    for key, value in change.items():
        plain[key] = value if not isinstance(value, np.ndarray) else dict(
            shape=list(value.shape), data=value.tobytes())
    save_predictions(path, [plain], CLASSES)
    with pytest.raises(UserError, match=message) as refusal:
        load_predictions(path)
    assert str(refusal.value).startswith(f'{path}: image a: ')
    assert '\n' not in str(refusal.value)


def test_an_image_twice_is_named(tmp_path):
    save_predictions(tmp_path / 'p.pkl', [make(), make()], CLASSES)
    with pytest.raises(UserError, match='image a: found twice'):
        load_predictions(tmp_path / 'p.pkl')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r'none\.pkl'):
        load_predictions(tmp_path / 'none.pkl')

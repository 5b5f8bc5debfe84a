"""Files of predictions: round trip, and refusal of anything that could run."""
import os
import pickle
from dataclasses import replace

import numpy as np
import pytest

from mmsart.evaluation.predictions import ImagePredictions, load_predictions, save_predictions
from mmsart.structures.mask.rle import kaggle_to_coco
from mmsart.utils import MissingFileError, UserError


def make(number=2, probs=True):
    rng = np.random.default_rng(number)
    return ImagePredictions(
        img_id='a', height=4, width=5, scores=rng.random(number, np.float32),
        labels=rng.integers(0, 3, number), bboxes=rng.random((number, 4), np.float32),
        rles=[kaggle_to_coco(f'{i + 1} 3', (4, 5)) for i in range(number)], cell_type='cort',
        sample_id='s', truth=['1 2'],
        mask_probs=rng.random((number, 28, 28), np.float32).astype(np.float16) if probs else None)


@pytest.mark.parametrize('image', [make(), make(0), make(3, probs=False)])
def test_round_trip(tmp_path, image):
    save_predictions(tmp_path / 'p.pkl', [image, replace(image, img_id='b')])
    first, second = load_predictions(tmp_path / 'p.pkl')
    for found in (first, second):
        for key, expected in vars(image).items():
            value = getattr(found, key)
            if key == 'img_id':
                assert value == ('a' if found is first else 'b')
                continue
            if isinstance(expected, np.ndarray):
                assert value.dtype == expected.dtype
                assert value.shape == expected.shape
                assert (value == expected).all()
                value += 1  # writable
            else:
                assert value == expected


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
    (dict(rles=[kaggle_to_coco('1 3', (4, 5))]), 'found 2 scores beside'),
    (dict(rles=[dict(size=[5, 4], counts=code) for code in (b'garbage!!~~\xff', b'04')]), 'mask 0'),
    (dict(scores=np.array([np.nan, 1], np.float32)), 'not finite'),
    (dict(labels=np.array([0, 9])), 'labels 0 to 9, expected 0 to 2'),
    (dict(truth=['19 5']), 'true object 0: run 19 5 ends past the image'),
    (dict(truth=['x']), 'true object 0: found'),
])
def test_damaged_numbers_are_named(tmp_path, change, message):
    path = tmp_path / 'p.pkl'
    save_predictions(path, [replace(make(), **change)])
    with pytest.raises(UserError, match=message) as refusal:
        load_predictions(path)
    assert str(refusal.value).startswith(f'{path}: image a: ')
    assert '\n' not in str(refusal.value)


def test_an_image_twice_is_named(tmp_path):
    save_predictions(tmp_path / 'p.pkl', [make(), make()])
    with pytest.raises(UserError, match='image a: found twice'):
        load_predictions(tmp_path / 'p.pkl')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r'none\.pkl'):
        load_predictions(tmp_path / 'none.pkl')

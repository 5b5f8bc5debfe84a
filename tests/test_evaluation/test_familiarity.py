import json

import numpy as np
import pytest

from mmsart.evaluation.familiarity import describe_unlike, find_reference, image_traits
from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks

CLASSES = ('round', 'flat')


def squares(count, side, score=0.7, label=0):
    """Find squares of one size, in a row."""
    boxes = np.array([[i * side, 0, (i + 1) * side, side] for i in range(count)]).reshape(-1, 4)
    masks = PatchMasks(np.ones(count * side ** 2, np.uint8), boxes, 100, 1_000)
    return Detections(np.full(count, score), np.full(count, label), masks, boxes)


def picture(mean=128, spread=20):
    """Draw stripes of a given mean and standard deviation."""
    image = np.full((100, 1_000), mean - spread, np.uint8)
    image[:, ::2] = mean + spread
    return image


def traits(mean=128, spread=20, count=20, side=10, score=0.7, label=0):
    return image_traits(picture(mean, spread), squares(count, side, score, label), CLASSES)


@pytest.fixture
def reference():
    return find_reference(
        traits(mean, spread, side=side, score=score)
        for mean in (120, 130) for spread in (18, 22) for side in (9, 10, 11)
        for score in (0.6, 0.8))


def test_traits():
    found = image_traits(picture(100, 30), squares(12, 8, 0.5, label=1), CLASSES)
    assert found == pytest.approx({
        'brightness': 100, 'contrast': 30, 'cells': 12, 'area/flat': 64, 'score/flat': 0.5})
    colours = np.stack([picture(100, 30)] * 3, axis=2)
    assert image_traits(colours, squares(0, 8), CLASSES) == pytest.approx({
        'brightness': 100, 'contrast': 30, 'cells': 0})


def test_few_cells_tell_nothing_of_size_and_score():
    assert 'area/round' not in traits(count=9)
    assert 'area/round' in traits(count=10)


def test_a_reference_is_json(reference):
    assert json.loads(json.dumps(reference)) == reference
    assert reference['area/round'] == [81, 121]


def test_a_picture_of_one_grey_value_is_not_dark(reference):
    lines = describe_unlike(
        [image_traits(np.zeros((100, 1_000), np.uint8), squares(0, 8), CLASSES)], reference)
    assert lines == ['no contrast: all pixels have one grey value', 'no cells found']


def test_familiar_images_are_passed(reference):
    assert describe_unlike([traits()], reference) == []
    assert describe_unlike([traits(mean=155, spread=60, side=12, score=0.99)], reference) == []
    assert describe_unlike([traits(mean=95, spread=10)], reference) == []
    assert describe_unlike([traits(label=1, side=30)], reference) == []  # a class it does not know


@pytest.mark.parametrize(('change', 'words'), [
    (dict(mean=60), 'darker than the training images (mean grey value 60, there 120 to 130)'),
    (dict(mean=180), 'brighter than the training images (mean grey value 180, there 120 to 130)'),
    (dict(spread=5),
     'less contrast than the training images (standard deviation 5.0, there 18.0 to 22.0)'),
    (dict(spread=70),
     'more contrast than the training images (standard deviation 70.0, there 18.0 to 22.0)'),
    (dict(side=5), 'round cells smaller than in the training images (median area 25 px, there 81 '
                   'to 121): check the magnification'),
    (dict(side=20), 'round cells larger than in the training images (median area 400 px, there '
                    '81 to 121): check the magnification'),
    (dict(score=0.4),
     'scores of round cells lower than on familiar images (mean 0.40, there 0.60 to 0.80)'),
    (dict(count=0), 'no cells found'),
    (dict(count=9), 'fewer cells than in the training images (9, there 20): too few to tell '
                    'by sizes and scores whether they are cells')])
def test_unlike_images_are_told_in_words(reference, change, words):
    assert describe_unlike([traits(**change)], reference) == [words]


def test_a_stack_says_each_kind_once(reference):
    frames = [traits(mean=mean, spread=spread, side=side)
              for mean, spread, side in ((60, 20, 10), (40, 20, 5), (128, 20, 10), (50, 5, 4))]
    assert describe_unlike(frames, reference) == [
        'darker than the training images (mean grey value 40 to 60, there 120 to 130) '
        '(in 3 of 4 frames)',
        'round cells smaller than in the training images (median area 16 to 25 px, there 81 to '
        '121): check the magnification (in 2 of 4 frames)',
        'less contrast than the training images (standard deviation 5.0, there 18.0 to 22.0) '
        '(in 1 of 4 frames)']


def test_a_model_without_reference_flags_nothing():
    assert describe_unlike([traits(mean=25)], {}) == []

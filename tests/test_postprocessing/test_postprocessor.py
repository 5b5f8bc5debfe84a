import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from mmsart.datasets.classes import CLASSES
from mmsart.postprocessing import PostProcessor, vote_type
from mmsart.postprocessing.postprocessor import OWN_TYPE_CELLS
from mmsart.structures.detections import Detections
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.utils import UserError

from .scenes import EIGHT, plain_nms, plain_remove_overlap, random_detections

SEEDS = st.integers(0, 2**32 - 1)


def squares(sides, scores, labels, gap=2, **fields):
    """Squares of the given sides side by side, `gap` pixels apart."""
    height, width = max(sides), sum(sides) + gap * len(sides)
    bitmaps, left = np.zeros((len(sides), height, width), np.uint8), 0
    for bitmap, side in zip(bitmaps, sides, strict=True):
        bitmap[:side, left:left + side] = 1
        left += side + gap
    masks = CroppedMasks.from_bitmaps(bitmaps)
    return Detections(scores, labels, masks, masks.boxes.astype(np.float32), 'squares', **fields)


def test_defaults_only_sort_and_drop_empty_masks():
    found = PostProcessor(CLASSES)(squares([2, 3, 4], [0.1, 0.9, 0.5], [0, 1, 2]))
    assert found.masks.areas.tolist() == [9, 16, 4]
    assert found.labels.tolist() == [1, 2, 0]
    empty = CroppedMasks.from_bitmaps(np.zeros((1, 4, 4), np.uint8))
    assert len(PostProcessor(CLASSES)(Detections([0.9], [0], empty, np.zeros((1, 4))))) == 0


def test_thresholds_of_each_class_are_inclusive():
    detections = squares([2, 2, 2, 2], [0.35, 0.3, 0.5, 0.6], [0, 0, 1, 1])
    process = PostProcessor(CLASSES, score_thr={'shsy5y': 0.35, 'astro': 0.6, 'cort': 0})
    np.testing.assert_allclose(process(detections).scores, [0.6, 0.35], rtol=1e-6)


def test_areas_are_inclusive():
    detections = squares([1, 2, 3, 4], [0.9, 0.8, 0.7, 0.6], [0] * 4)
    assert PostProcessor(CLASSES, min_area=4, max_area=9)(detections).masks.areas.tolist() == [4, 9]


@pytest.mark.parametrize(('vote', 'labels'), [
    ('off', [1, 0, 0]), ('drop', [1]), ('relabel', [1, 1, 1])])
def test_vote_is_weighted_by_score(vote, labels):
    detections = squares([2, 2, 2], [0.9, 0.4, 0.4], [1, 0, 0])
    assert PostProcessor(CLASSES, vote=vote)(detections).labels.tolist() == labels


def test_vote_of_the_weak_can_be_ignored():
    scores, labels = np.array([0.9, 0.5, 0.5]), np.array([1, 0, 0])
    assert vote_type(scores, labels, 3) == 0
    assert vote_type(scores, labels, 3, min_score=0.6) == 1
    assert vote_type(scores, labels, 3, min_score=0.95) == 1  # the best one decides
    assert vote_type(scores[:0], labels[:0], 3, min_score=0.95) == 0


@pytest.mark.parametrize('vote', ['drop', 'relabel'])
def test_votes_of_what_no_threshold_passes_do_not_count(vote):
    """However many they are; a detector need not find them for the cells to be the same."""
    process = PostProcessor(CLASSES, vote=vote, vote_min_score=0.2, score_thr={
        'shsy5y': 0.17, 'astro': 0.4, 'cort': 0.4})
    found = squares([2] * 12, [0.18, 0.19] + [0.12] * 10, [0, 0] + [1] * 10)
    loud = found[found.scores >= np.float32(0.17)]
    for each in (found, loud):
        assert process(each).labels.tolist() == [0, 0]
        assert process.select(process.prepare(each)).labels.tolist() == [0, 0]
        assert process.hold_votes([each[each.labels == 1], each[each.labels == 0]]) == [0, 0]


def test_a_tile_of_few_cells_follows_the_image_and_one_of_many_does_not():
    process = PostProcessor(CLASSES, vote='relabel', vote_min_score=0.3)
    usual = squares([2] * 40, [0.9] * 40, [0] * 40)
    few = squares([2] * 5, [0.9] * 5, [2] * 5)
    mixed = squares([2] * 40, [0.6] * 40, [2] * 20 + [0] * 20)
    other = squares([2] * (OWN_TYPE_CELLS + 2), [0.9] * OWN_TYPE_CELLS + [0.9, 0.2],
                    [2] * OWN_TYPE_CELLS + [0, 1])
    types = process.hold_votes([usual, few, mixed, other, few[few.scores > 1]])
    assert types == [0, 0, 0, 2, 0]
    assert process(few, types[1]).labels.tolist() == [0] * 5
    assert process.prepare(few, types[1]).labels.tolist() == [0] * 5
    assert process(few).labels.tolist() == [2] * 5, 'an image by itself votes by itself'
    assert PostProcessor(CLASSES).hold_votes([usual, few]) == [None, None]
    weak = PostProcessor(CLASSES, vote='drop', vote_min_score=0.95)
    assert weak.hold_votes([few, few]) == [2, 2]  # nobody is heard: the best are
    nothing = few[few.scores > 1]
    assert weak.hold_votes([few, nothing, mixed]) == [2, 2, 2]
    assert weak.hold_votes([nothing]) == [0]


def test_vote_comes_before_the_thresholds():
    """A relabelled detection is judged by the threshold of its new class."""
    process = PostProcessor(
        CLASSES, vote='relabel', score_thr={'shsy5y': 0.8, 'astro': 0.3, 'cort': 0})
    assert len(process(squares([2, 2], [0.9, 0.4], [1, 0]))) == 2


def test_holes_are_filled_before_the_area_counts():
    ring = np.ones((1, 4, 4), np.uint8)
    ring[0, 1:3, 1:3] = 0
    masks = CroppedMasks.from_bitmaps(ring)
    detections = Detections([0.9], [0], masks, masks.boxes)
    assert len(PostProcessor(CLASSES, min_area=16)(detections)) == 0
    filled = PostProcessor(CLASSES, min_area=16, fill_holes=True)(detections)
    assert filled.masks.areas.tolist() == [16]


def test_largest_component_of_one_class_only():
    bitmap = np.array([[[1, 1, 0, 1], [1, 1, 0, 0]]], np.uint8)
    process = PostProcessor(
        CLASSES, largest_component={'shsy5y': True, 'astro': False, 'cort': False})
    for label, area in ((0, 4), (1, 5)):
        masks = CroppedMasks.from_bitmaps(bitmap)
        assert process(Detections([0.9], [label], masks, masks.boxes)).masks.areas == [area]


def test_mask_threshold_pastes_soft_masks_again():
    """A ramp from 1/8 to 7/8 over a box of 4 pixels: the threshold sets the width."""
    ramp = np.tile((np.arange(4, dtype=np.float32) * 2 + 1) / 8, (1, 4, 1))
    detections = squares([4], [0.9], [0], mask_probs=ramp)
    for thr, columns in ((0.5, 2), (0.3, 3), (0.8, 1)):
        cut = PostProcessor(CLASSES, mask_thr=thr)(detections)
        assert cut.masks.areas.tolist() == [4 * columns]


def test_mask_threshold_without_soft_masks_is_said_once(recwarn):
    process = PostProcessor(CLASSES, mask_thr=0.4)
    detections = squares([3], [0.9], [0])
    assert process(detections).masks.areas.tolist() == [9]
    process(detections)
    assert ['mask_thr is ignored' in str(w.message) for w in recwarn] == [True]


def test_overlap_removal_can_be_left_out():
    bitmap = np.ones((2, 3, 3), np.uint8)
    masks = CroppedMasks.from_bitmaps(bitmap)
    detections = Detections([0.5, 0.9], [0, 0], masks, masks.boxes)
    np.testing.assert_allclose(
        PostProcessor(CLASSES, remove_overlap=False)(detections).scores, [0.9, 0.5], rtol=1e-6)
    assert len(PostProcessor(CLASSES)(detections)) == 1


def test_unknown_label_and_unequal_fields():
    with pytest.raises(UserError, match="'squares': found labels 0 to 3, expected 0 to 2"):
        PostProcessor(CLASSES)(squares([2, 2], [0.9, 0.8], [0, 3]))
    with pytest.raises(ValueError, match='one length'):
        squares([2, 2], [0.9], [0, 1])


def plain_pipeline(detections, config):
    """The same stages on full-size bitmaps, with one value for all classes."""
    bitmaps, scores = detections.masks.to_ndarray(), detections.scores
    scores_ok = scores >= np.float32(config['score_thr'])
    bitmaps, scores = bitmaps[scores_ok], scores[scores_ok]
    if config['fill_holes']:
        bitmaps = np.array([ndimage.binary_fill_holes(b) for b in bitmaps], np.uint8).reshape(
            bitmaps.shape)
    if config['largest_component']:
        for bitmap in bitmaps:
            labels, count = ndimage.label(bitmap, EIGHT)
            if count > 1:
                flat = labels.ravel()
                sizes = np.bincount(flat)[1:]
                best = 1 + min(range(count), key=lambda k: (
                    -sizes[k], np.flatnonzero(flat == k + 1)[0]))
                bitmap[labels != best] = 0
    areas = bitmaps.sum((1, 2))
    ok = (areas >= max(config['min_area'], 1)) & (areas <= config['max_area'])
    bitmaps, scores = bitmaps[ok], scores[ok]
    kept = plain_nms(bitmaps, scores, np.full(len(scores), config['nms_iou_thr']))
    bitmaps, scores = bitmaps[kept], scores[kept]
    num = len(scores)
    left, kept = plain_remove_overlap(
        bitmaps, scores, np.full(num, config['max_lost_share']),
        np.full(num, config['min_area']), [config['pieces']] * num)
    return left, scores[kept]


@settings(deadline=None)
@given(SEEDS)
def test_equals_full_size_twin(seed):
    rng = np.random.default_rng(seed)
    detections = random_detections(rng, 24, 30, int(rng.integers(0, 9)))
    config = {
        'score_thr': float(rng.choice([0, 0.25, 0.55])), 'fill_holes': bool(rng.integers(2)),
        'largest_component': bool(rng.integers(2)), 'min_area': int(rng.choice([0, 2, 10])),
        'max_area': int(rng.choice([100, 2000])), 'nms_iou_thr': float(rng.choice([0.1, 0.5, 1])),
        'max_lost_share': float(rng.choice([0.2, 0.6, 1])),
        'pieces': str(rng.choice(['keep', 'largest', 'drop']))}
    found = PostProcessor(CLASSES, **config)(detections)
    expected, expected_scores = plain_pipeline(detections, config)
    np.testing.assert_array_equal(found.masks.to_ndarray(), expected)
    np.testing.assert_array_equal(found.scores, expected_scores)

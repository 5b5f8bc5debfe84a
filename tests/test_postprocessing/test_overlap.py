import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsart.postprocessing import mask_nms, remove_overlap
from mmsart.structures.mask.cropped_masks import CroppedMasks

from .scenes import plain_nms, plain_remove_overlap, random_bitmaps

SEEDS = st.integers(0, 2**32 - 1)


def masks_of(*rows: str) -> CroppedMasks:
    """Each row is a mask of one line of pixels."""
    return CroppedMasks.from_bitmaps(np.array([[[int(c) for c in row]] for row in rows], np.uint8))


def remove(masks, scores, share=1.0, min_area=0, pieces='keep'):
    num = len(masks)
    return remove_overlap(
        masks, np.array(scores), np.full(num, share), np.full(num, min_area), [pieces] * num)


def test_better_score_owns_shared_pixels():
    left, kept = remove(masks_of('11110000', '00111100'), [0.5, 0.9])
    assert kept.tolist() == [1, 0]
    assert left.to_ndarray()[:, 0].tolist() == [[0, 0, 1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0]]


def test_of_equal_scores_the_first_owns():
    _, kept = remove(masks_of('1110', '1110'), [0.5, 0.5])
    assert kept.tolist() == [0]


@pytest.mark.parametrize(('share', 'expected'), [
    (0.5, [0, 1]),  # loses 2 of 4 pixels: exactly the share, kept
    (0.49, [0]),
])
def test_lost_share_is_inclusive(share, expected):
    assert remove(masks_of('111100', '001111'), [0.9, 0.5], share=share)[1].tolist() == expected


def test_lost_share_is_inclusive_for_shares_that_binary_numbers_miss():
    """0.29 * 100 is 28.999999999999996."""
    masks = masks_of('1' * 29 + '0' * 71, '1' * 100)
    assert remove(masks, [0.9, 0.5], share=0.29)[1].tolist() == [0, 1]
    assert remove(masks, [0.9, 0.5], share=0.28)[1].tolist() == [0]


@pytest.mark.parametrize(('min_area', 'expected'), [(2, [0, 1]), (3, [0])])
def test_min_area_counts_what_is_left(min_area, expected):
    _, kept = remove(masks_of('111100', '001111'), [0.9, 0.5], min_area=min_area)
    assert kept.tolist() == expected


def test_dropped_mask_paints_nothing():
    """The second loses too much; the third lies on it alone and stays whole."""
    left, kept = remove(masks_of('11110000', '00111110', '00000111'), [0.9, 0.8, 0.7], share=0.3)
    assert kept.tolist() == [0, 2]
    assert left.areas.tolist() == [4, 3]


@pytest.mark.parametrize(('pieces', 'areas'), [
    ('keep', [2, 5]), ('largest', [2, 3]), ('drop', [2])])
def test_mask_that_falls_apart(pieces, areas):
    left, _ = remove(masks_of('00110000', '11111110'), [0.9, 0.5], pieces=pieces)
    assert left.areas.tolist() == areas


def test_mask_that_was_apart_before_is_no_victim():
    left, _ = remove(masks_of('00110000', '00011011'), [0.9, 0.5], pieces='drop')
    assert left.areas.tolist() == [2, 3]


def test_largest_piece_must_pass_the_share():
    _, kept = remove(masks_of('00110000', '11111110'), [0.9, 0.5], share=0.5, pieces='largest')
    assert kept.tolist() == [0]  # 3 of 7 pixels are left


@settings(deadline=None)
@given(SEEDS)
def test_equals_full_canvas_twin(seed):
    rng = np.random.default_rng(seed)
    bitmaps = random_bitmaps(rng, *rng.integers(1, 24, 2), rng.integers(0, 10))
    num = len(bitmaps)
    scores, share = rng.integers(0, 5, num) / 4, rng.choice([0, 0.2, 0.5, 1.0], num)
    min_area, pieces = rng.choice([0, 3, 20], num), rng.choice(['keep', 'largest', 'drop'], num)
    left, kept = remove_overlap(
        CroppedMasks.from_bitmaps(bitmaps), scores, share, min_area, pieces.tolist())
    expected, expected_kept = plain_remove_overlap(bitmaps, scores, share, min_area, list(pieces))
    assert kept.tolist() == expected_kept.tolist()
    np.testing.assert_array_equal(left.to_ndarray(), expected)
    assert left.to_ndarray().sum(0).max(initial=0) <= 1


def test_nms_is_greedy():
    """The second falls to the first; the third lies only on the second and stays."""
    masks = masks_of('1111000000', '0111100000', '0011110000')
    kept = mask_nms(masks, np.array([0.9, 0.8, 0.7]), np.full(3, 0.5))
    assert kept.tolist() == [0, 2]  # IoU with the next is 3/5, with the one after 2/6


@pytest.mark.parametrize(('thr', 'num'), [(1 / 3, 2), (0.33, 1), (np.inf, 2)])
def test_nms_threshold_is_strict(thr, num):
    masks = masks_of('1100', '0110')
    assert len(mask_nms(masks, np.array([0.5, 0.9]), np.full(2, thr))) == num


@settings(deadline=None)
@given(SEEDS)
def test_nms_equals_pairwise_twin(seed):
    rng = np.random.default_rng(seed)
    bitmaps = random_bitmaps(rng, *rng.integers(1, 24, 2), rng.integers(0, 12))
    num = len(bitmaps)
    scores, thrs = rng.integers(0, 5, num) / 4, rng.choice([0, 0.25, 0.5, np.inf], num)
    kept = mask_nms(CroppedMasks.from_bitmaps(bitmaps), scores, thrs)
    assert kept.tolist() == plain_nms(bitmaps, scores, thrs)

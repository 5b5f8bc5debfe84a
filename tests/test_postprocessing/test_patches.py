import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from mmsart.postprocessing.patches import (
    count_pieces,
    fill_patch,
    intersections,
    join_patches,
    largest_piece,
    split_patches,
)
from mmsart.structures.mask.cropped_masks import CroppedMasks

from .scenes import EIGHT, random_bitmaps

SEEDS = st.integers(0, 2**32 - 1)


@settings(deadline=None)
@given(SEEDS)
def test_split_and_join_are_inverse(seed):
    masks = CroppedMasks.from_bitmaps(random_bitmaps(np.random.default_rng(seed), 13, 17, 5))
    joined = join_patches(split_patches(masks), masks.boxes, masks)
    np.testing.assert_array_equal(joined.to_ndarray(), masks.to_ndarray())
    assert len(join_patches([], np.zeros((0, 4)), masks)) == 0


@settings(deadline=None)
@given(SEEDS)
def test_pieces_and_holes_equal_scipy(seed):
    rng = np.random.default_rng(seed)
    patch = (rng.random(rng.integers(1, 15, 2)) < rng.random()).astype(np.uint8)
    labels, count = ndimage.label(patch, EIGHT)
    assert count_pieces(patch) == count
    np.testing.assert_array_equal(fill_patch(patch), ndimage.binary_fill_holes(patch))
    largest = largest_piece(patch)
    if count:
        assert ndimage.label(largest, EIGHT)[1] == 1
        assert largest.sum() == np.bincount(labels.ravel())[1:].max()
        assert (patch[largest > 0] == 1).all()


def test_of_equal_pieces_the_first_in_row_order_stays():
    assert largest_piece(np.array([[0, 0, 1], [1, 0, 0]], np.uint8)).tolist() == [
        [0, 0, 1], [0, 0, 0]]


def test_gap_at_a_corner_is_no_way_out_of_a_hole():
    ring = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
    assert fill_patch(ring).tolist() == [[0, 1, 1], [1, 1, 1], [1, 1, 1]]


@settings(deadline=None)
@given(SEEDS)
def test_intersections_equal_dense_product(seed):
    rng = np.random.default_rng(seed)
    ours, others = (random_bitmaps(rng, 11, 19, int(rng.integers(0, 6))) for _ in range(2))
    expected = np.einsum('nhw,mhw->nm', ours.astype(int), others.astype(int))
    found = intersections(CroppedMasks.from_bitmaps(ours), CroppedMasks.from_bitmaps(others))
    np.testing.assert_array_equal(found.toarray(), expected)

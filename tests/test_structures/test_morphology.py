import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from mmsart.structures.mask.morphology import count_pieces, fill_patch, largest_piece

EIGHT = np.ones((3, 3), int)
SEEDS = st.integers(0, 2**32 - 1)


@settings(deadline=None)
@given(SEEDS)
def test_pieces_and_holes_equal_scipy(seed):
    rng = np.random.default_rng(seed)
    patch = (rng.random(rng.integers(1, 15, 2)) < rng.random()).astype(np.uint8)
    assert count_pieces(patch) == ndimage.label(patch, EIGHT)[1]
    np.testing.assert_array_equal(fill_patch(patch), ndimage.binary_fill_holes(patch))
    for connectivity, structure in ((8, EIGHT), (4, None)):
        labels, count = ndimage.label(patch, structure)
        largest = largest_piece(patch, connectivity)
        if count:
            assert ndimage.label(largest, structure)[1] == 1
            assert largest.sum() == np.bincount(labels.ravel())[1:].max()
            assert (patch[largest > 0] == 1).all()


def test_of_equal_pieces_the_first_in_row_order_stays():
    assert largest_piece(np.array([[0, 0, 1], [1, 0, 0]], np.uint8)).tolist() == [
        [0, 0, 1], [0, 0, 0]]


def test_gap_at_a_corner_is_no_way_out_of_a_hole():
    ring = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
    assert fill_patch(ring).tolist() == [[0, 1, 1], [1, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize('shape', [(0, 0), (0, 3), (3, 0)])
def test_masks_without_a_box_are_survived(shape):
    """OpenCV's components of an empty array end the process."""
    empty = np.zeros(shape, np.uint8)
    assert largest_piece(empty).shape == fill_patch(empty).shape == shape
    assert count_pieces(empty) == 0

"""Tiles cover an image, their cores once, and neighbours share what they should."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmsart.imaging.tiles import even_grid, tile_grid
from mmsart.utils import UserError


@given(st.tuples(st.integers(1, 700), st.integers(1, 700)),
       st.tuples(st.integers(96, 300), st.integers(96, 300)), st.integers(0, 64))
def test_every_grid(size, tile_size, overlap):
    cores = np.zeros(size, int)
    tiles = tile_grid(size, tile_size, overlap)
    for tile in tiles:
        x1, y1, x2, y2 = tile.core
        cores[y1:y2, x1:x2] += 1
        left, top, right, bottom = tile.box
        assert 0 <= left <= x1 < x2 <= right <= size[1]
        assert 0 <= top <= y1 < y2 <= bottom <= size[0]
        assert (bottom - top, right - left) == (
            min(size[0], tile_size[0]), min(size[1], tile_size[1]))
        # A cell with its centre in the core is whole if it is no larger than the overlap.
        assert x1 - left >= overlap // 2 or left == 0
        assert y1 - top >= overlap // 2 or top == 0
        assert right - x2 >= overlap // 2 or right == size[1]
        assert bottom - y2 >= overlap // 2 or bottom == size[0]
    assert (cores == 1).all()


def test_an_image_of_the_tiles_size_is_one_tile():
    (tile,) = tile_grid((520, 704), (520, 704), 192)
    assert tile.box == tile.core == (0, 0, 704, 520)


def test_a_tile_that_is_all_overlap_is_refused():
    with pytest.raises(UserError, match='tiles: found 200 pixels with an overlap of 192'):
        tile_grid((520, 704), (200, 704), 192)


def test_an_even_grid_is_spread_over_the_image():
    tiles = even_grid((520, 704), (208, 281), (4, 4))
    assert [tile.rows[:2] for tile in tiles[::4]] == [(0, 208), (104, 312), (208, 416), (312, 520)]
    assert [tile.columns[:2] for tile in tiles[:4]] == [
        (0, 281), (141, 422), (282, 563), (423, 704)]
    assert [tile.rows[2:] for tile in tiles[::4]] == [(0, 156), (156, 260), (260, 364), (364, 520)]
    answered = np.zeros((520, 704), int)
    for tile in tiles:
        left, top, right, bottom = tile.core
        answered[top:bottom, left:right] += 1
    assert (answered == 1).all()


def test_an_even_grid_of_a_small_image_has_equal_tiles():
    assert {tile.box for tile in even_grid((50, 60), (208, 281), (1, 1))} == {(0, 0, 60, 50)}
    assert {tile.box[3] - tile.box[1] for tile in even_grid((50, 60), (40, 70), (2, 1))} == {40}


@pytest.mark.parametrize('size', [(81, 60), (50, 71)])
def test_an_even_grid_with_gaps_is_refused(size):
    assert len(even_grid((80, 70), (40, 70), (2, 1))) == 2
    with pytest.raises(UserError, match=r'tiles: found 2 x 1 of 40 x 70 pixels for an image of '
                                        rf'{size[0]} x {size[1]}, expected tiles that cover it'):
        even_grid(size, (40, 70), (2, 1))

"""Joining the cells of tiles, against an image that was never cut."""
from dataclasses import replace

import numpy as np
import pytest

from mmsart.imaging.tiles import tile_grid
from mmsart.postprocessing.seams import join_parts, take_core
from mmsart.structures.detections import Detections
from mmsart.structures.mask.intersections import intersections
from mmsart.structures.mask.morphology import count_pieces
from mmsart.structures.mask.patch_masks import PatchMasks

SIZE = (300, 380)
TILE, OVERLAP = (160, 192), 64


def discs(centres, radii, scores=None, size=SIZE):
    """Draw cells of which each pixel belongs to the first."""
    rows, columns = np.mgrid[:size[0], :size[1]]
    free, bitmaps = np.ones(size, bool), []
    for (y, x), radius in zip(centres, np.broadcast_to(radii, len(centres)), strict=True):
        bitmaps.append(free & (np.hypot(rows - y, columns - x) <= radius))
        free &= ~bitmaps[-1]
    masks = PatchMasks.from_bitmaps(np.array(bitmaps, np.uint8).reshape(-1, *size))
    count = len(masks)
    scores = np.linspace(0.9, 0.5, count) if scores is None else scores
    return Detections(scores, np.arange(count) % 3, masks, masks.boxes.astype(np.float32))


def seen_in(cells, tile, jitter=None, smallest=10):
    """Return the cells as a detector would see them that knows the truth and one tile alone."""
    x1, y1, x2, y2 = tile.box
    bitmaps = cells.masks.to_ndarray()[:, y1:y2, x1:x2]
    if jitter is not None:
        down, right = jitter.integers(0, 3, 2)
        height, width = bitmaps.shape[1:]
        bitmaps = np.pad(bitmaps, ((0, 0), (1, 1), (1, 1)))[
            :, down:down + height, right:right + width]
    seen = np.flatnonzero(bitmaps.sum((1, 2)) >= smallest)
    masks = PatchMasks.from_bitmaps(bitmaps[seen])
    return replace(cells[seen], masks=masks, bboxes=masks.boxes.astype(np.float32))


def by_tiles(cells, jitter=None):
    parts = [take_core(seen_in(cells, tile, jitter), tile.box, tile.core, SIZE)
             for tile in tile_grid(SIZE, TILE, OVERLAP)]
    return join_parts(parts, 'a')


def as_sets(cells):
    return {(round(float(score), 5), int(label), frozenset(np.flatnonzero(bitmap).tolist()))
            for score, label, bitmap in zip(
                cells.scores, cells.labels, cells.masks.to_ndarray(), strict=True)}


@pytest.mark.parametrize('seed', range(4))
def test_cells_no_larger_than_the_overlap_come_out_as_they_went_in(seed):
    rng = np.random.default_rng(seed)
    cells = discs(rng.uniform((0, 0), SIZE, (90, 2)), rng.uniform(3, 24, 90))
    # Of a cell in two pieces a tile may show the one and not the other, and no edge that cuts it.
    whole = [count_pieces(cells.masks.patch(index)) == 1 for index in range(len(cells))]
    cells = cells[(cells.masks.areas >= 10) & whole]
    assert len(cells) > 50
    assert as_sets(by_tiles(cells)) == as_sets(cells)


@pytest.mark.parametrize('seed', range(4))
def test_tiles_that_do_not_quite_agree_lose_nothing_and_double_nothing(seed):
    rng = np.random.default_rng(seed)
    grid = np.stack(np.mgrid[20:290:36, 20:370:36], -1).reshape(-1, 2)
    cells = discs(grid + rng.uniform(-3, 3, grid.shape), 13)
    joined = by_tiles(cells, rng)
    assert len(joined) == len(cells)
    shared = intersections(joined.masks, cells.masks).toarray()
    assert (shared.max(0) > 0.7 * cells.masks.areas).all()


def test_a_cell_larger_than_a_tile_is_put_together():
    """A fibre across the whole image; no tile sees either of its ends and its middle."""
    bitmap = np.zeros((1, *SIZE), np.uint8)
    bitmap[0, 150:162, 5:375] = 1
    masks = PatchMasks.from_bitmaps(bitmap)
    cells = Detections(np.array([0.8]), np.array([1]), masks, masks.boxes.astype(np.float32))
    assert as_sets(by_tiles(cells)) == as_sets(cells)


def test_of_a_cell_that_one_tile_cuts_the_whole_one_is_kept_though_its_score_is_lower():
    tiles = tile_grid((160, 300), TILE, OVERLAP)
    edge = tiles[0].box[2]
    whole = discs([(80, edge - 8)], 14, [0.5], (160, 300))
    cut = replace(seen_in(whole, tiles[0]), scores=np.array([0.9], np.float32))
    parts = [take_core(cut, tiles[0].box, (0, 0, edge, 160), (160, 300)),
             take_core(seen_in(whole, tiles[1]), tiles[1].box, tiles[1].core, (160, 300))]
    assert as_sets(join_parts(parts, 'a')) == as_sets(whole)


def test_cells_that_touch_at_a_seam_stay_two():
    x = tile_grid(SIZE, TILE, OVERLAP)[0].core[2]
    cells = discs([(80, x - 10), (80, x + 10)], 12)
    assert len(by_tiles(cells)) == 2


def test_no_cells():
    assert len(by_tiles(discs(np.zeros((0, 2)), 5))) == 0

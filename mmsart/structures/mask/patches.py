"""Patches: masks cut out of their image, held one after another in a flat array.

A set of masks is a pair ``(data, boxes)``: `boxes` int32 (N, 4) holds half-open pixel boxes
xyxy, `data` uint8 the 0/1 pixels of box after box, row by row. Nothing here loops over masks or
rows; the index of each pixel is computed for all of them at once.
"""
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mmsart.structures.mask.ragged import exclusive_cumsum, ragged_arange
from mmsart.structures.mask.runs import Runs, join_touching, run_boxes

# Pixels looked up at a time: their indices, 8 bytes each, then stay in the cache and in memory
# that the process holds already. Measured twice as fast as all at once on 500,000 pixels.
CHUNK_PIXELS = 1 << 16

Box = tuple[int, int, int, int]
"""Half-open xyxy."""


class PatchRows(NamedTuple):
    """The rows of all patches, in the order in which they lie in the data.

    Attributes:
        owner: int64 (R,), mask that the row belongs to.
        y: int64 (R,), row of the image.
        width: int64 (R,), pixels in the row.
        begin: int64 (R,), index of its first pixel in the data.
    """

    owner: np.ndarray
    y: np.ndarray
    width: np.ndarray
    begin: np.ndarray


def tight_patch(patch: np.ndarray, box: Box) -> tuple[np.ndarray, Box]:
    """Shrink a single patch to its own extent.

    Args:
        patch: (h, w), non-zero inside.
        box: where it lies.

    Returns:
        The smaller patch and its box; without area where nothing is inside.
    """
    rows, columns = np.flatnonzero(patch.any(1)), np.flatnonzero(patch.any(0))
    if not len(rows):
        return np.zeros((0, 0), patch.dtype), (0, 0, 0, 0)
    y1, y2, x1, x2 = (int(each) for each in (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1))
    left, top = int(box[0]), int(box[1])
    return (np.ascontiguousarray(patch[y1:y2, x1:x2]),
            (left + x1, top + y1, left + x2, top + y2))


def covered(box: Box, patches: Sequence[np.ndarray], boxes: np.ndarray) -> np.ndarray:
    """Paint the part of masks that lies in a box.

    Args:
        box: where to look.
        patches: N arrays (h_i, w_i) of 0 and 1.
        boxes: int (N, 4), where they lie.

    Returns:
        uint8 of the size of `box`, 1 where any of the masks is.
    """
    x1, y1, x2, y2 = box
    found = np.zeros((y2 - y1, x2 - x1), np.uint8)
    for patch, (left, top, right, bottom) in zip(patches, boxes.tolist(), strict=True):
        a, b, c, d = max(x1, left), max(y1, top), min(x2, right), min(y2, bottom)
        if a < c and b < d:
            found[b - y1:d - y1, a - x1:c - x1] |= patch[b - top:d - top, a - left:c - left]
    return found


def box_sizes(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measure boxes.

    Args:
        boxes: int (N, 4), half-open xyxy.

    Returns:
        Heights and widths in pixels, int64 (N,) each.
    """
    sizes = boxes[:, 2:].astype(np.int64) - boxes[:, :2]
    return sizes[:, 1], sizes[:, 0]


def patch_rows(boxes: np.ndarray) -> PatchRows:
    """List the rows of all patches.

    Args:
        boxes: int32 (N, 4), half-open xyxy.

    Returns:
        Owner, image row, width and place in the data of each row.
    """
    heights, widths = box_sizes(boxes)
    heights = np.where(widths > 0, heights, 0)
    owner = np.repeat(np.arange(len(boxes)), heights)
    y = ragged_arange(heights) + boxes[owner, 1]
    width = widths[owner]
    return PatchRows(owner, y, width, exclusive_cumsum(width)[:-1])


def gather_patches(data: np.ndarray, boxes: np.ndarray, new_boxes: np.ndarray,
                   rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Fill new patches with pixels of old ones, row and column looked up apart.

    Pixel (y, x) of a new patch takes the old mask's pixel ``(rows[y], columns[x])``. Cropping,
    flipping, nearest-neighbour resizing and moving by whole pixels are all of this kind.

    Args:
        data: uint8 (P,), old pixels.
        boxes: int32 (N, 4), old boxes xyxy.
        new_boxes: int32 (N, 4), new boxes; whatever they look up must lie in the old box.
        rows: int (new image height,), row of the old image for each row of the new one.
        columns: int (new image width,), the same for columns.

    Returns:
        uint8, the new pixels.
    """
    heights, widths = box_sizes(boxes)
    origin = exclusive_cumsum(heights * widths)[:-1] - boxes[:, 1] * widths - boxes[:, 0]
    new = patch_rows(new_boxes)
    source = origin[new.owner] + rows[new.y] * widths[new.owner]
    ends = exclusive_cumsum(new.width)
    shift = ends[:-1] - new_boxes[new.owner, 0]
    found = np.empty(ends[-1], np.uint8)
    for begin, end in _chunks(ends):
        x = np.arange(ends[begin], ends[end])
        x -= np.repeat(shift[begin:end], new.width[begin:end])
        index = columns[x]
        index += np.repeat(source[begin:end], new.width[begin:end])
        np.take(data, index, out=found[ends[begin]:ends[end]], mode='clip')  # 'raise' would copy
    return found


def _chunks(ends: np.ndarray) -> Iterator[tuple[int, int]]:
    """Split rows into chunks of about CHUNK_PIXELS, as spans of row numbers."""
    cuts = np.searchsorted(ends, np.arange(0, ends[-1], CHUNK_PIXELS)).tolist()
    return ((a, b) for a, b in itertools.pairwise([*cuts, len(ends) - 1]) if b > a)


def transpose_patches(data: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mirror masks at the diagonal of their image: (y, x) becomes (x, y).

    Args:
        data: uint8 (P,), pixels.
        boxes: int32 (N, 4), boxes xyxy.

    Returns:
        Pixels and boxes of the mirrored masks.
    """
    heights, widths = box_sizes(boxes)
    begin = exclusive_cumsum(heights * widths)[:-1] - boxes[:, 0]  # of the patch's column 0
    mirrored = boxes[:, [1, 0, 3, 2]]
    rows = patch_rows(mirrored)
    index = ragged_arange(rows.width)
    index *= np.repeat(widths[rows.owner], rows.width)
    index += np.repeat(begin[rows.owner] + rows.y, rows.width)
    return data[index], mirrored


def runs_to_patches(runs: Runs, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Paint runs into patches.

    Args:
        runs: masks of one image, sorted and without overlap (`runs.find_bad_runs` tells).
        width: image width in pixels.

    Returns:
        Pixels uint8 (P,) and tight boxes int32 (N, 4).
    """
    boxes = run_boxes(runs, width)[0]
    heights, widths = box_sizes(boxes)
    offsets = exclusive_cumsum(heights * widths)
    owner = runs.owners
    starts, lengths = runs.starts, runs.lengths
    y, x = np.divmod(starts, width)
    if (x + lengths > width).any():  # runs that go on in the next row: cut them at the border
        pieces = (x + lengths - 1) // width + 1
        run = np.repeat(np.arange(len(starts)), pieces)
        y = y[run] + ragged_arange(pieces)
        begin = np.maximum(starts[run], y * width)
        lengths = np.minimum((starts + lengths)[run], (y + 1) * width) - begin
        x, owner = begin - y * width, owner[run]
    edges = np.zeros(2 * len(y) + 2, np.int64)  # 0, begin and end of each run, end of the data
    edges[1:-1:2] = offsets[owner] + (y - boxes[owner, 1]) * widths[owner] + x - boxes[owner, 0]
    edges[2:-1:2] = edges[1:-1:2] + lengths
    edges[-1] = offsets[-1]
    data = np.repeat(np.arange(2 * len(y) + 1, dtype=np.uint8) & 1, np.diff(edges))
    return data, boxes.astype(np.int32)


def patches_to_runs(data: np.ndarray, boxes: np.ndarray, width: int) -> Runs:
    """Read the row-major runs of masks from their patches.

    Args:
        data: uint8 (P,), pixels.
        boxes: int32 (N, 4), boxes xyxy.
        width: image width in pixels.

    Returns:
        The runs, maximal: one that touches the right border goes on in the next row.
    """
    rows = patch_rows(boxes)
    before = np.zeros(len(data), np.uint8)
    before[1:] = data[:-1]
    before[rows.begin] = 0
    behind = np.zeros(len(data), np.uint8)
    behind[:-1] = data[1:]
    behind[rows.begin + rows.width - 1] = 0
    begin = np.flatnonzero(data > before)
    lengths = np.flatnonzero(data > behind) + 1 - begin
    row = np.searchsorted(rows.begin, begin, side='right') - 1
    owner = rows.owner[row]
    starts = rows.y[row] * width + boxes[owner, 0] + begin - rows.begin[row]
    splits = exclusive_cumsum(np.bincount(owner, minlength=len(boxes)))
    return join_touching(Runs(starts, lengths, splits))

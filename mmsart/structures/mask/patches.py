"""Patches: masks cut out of their image, held one after another in a flat array.

A set of masks is a pair ``(data, boxes)``: `boxes` int32 (N, 4) holds half-open pixel boxes
xyxy, `data` uint8 the 0/1 pixels of box after box, row by row. Nothing here loops over masks or
rows; the index of each pixel is computed for all of them at once.
"""
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mmsart.structures.mask.rle import Runs, run_boxes


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


def exclusive_cumsum(counts: np.ndarray) -> np.ndarray:
    """Sum up counts, from 0 to the total.

    Args:
        counts: int (N,).

    Returns:
        int64 (N + 1,), where each group begins, and the end of the last.
    """
    total = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=total[1:])
    return total


def ragged_arange(counts: np.ndarray) -> np.ndarray:
    """Count from 0 inside each of several groups.

    Args:
        counts: int (N,), sizes of the groups.

    Returns:
        int64 (sum of counts,).

    Example:
        >>> ragged_arange(np.array([2, 0, 3]))
        array([0, 1, 0, 1, 2])
    """
    begins = exclusive_cumsum(counts)
    return np.arange(begins[-1]) - np.repeat(begins[:-1], counts)


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
    x = np.arange(new.width.sum()) - np.repeat(new.begin - new_boxes[new.owner, 0], new.width)
    index = columns[x]
    index += np.repeat(source, new.width)
    return data[index]


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


def tight_boxes(data: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Find the smallest box around the ones of each patch.

    Args:
        data: uint8 (P,), pixels.
        boxes: int32 (N, 4), boxes xyxy.

    Returns:
        int32 (N, 4); all zero for a mask without a one.
    """
    rows = patch_rows(boxes)
    ones = np.flatnonzero(data)
    row = np.searchsorted(rows.begin, ones, side='right') - 1
    owner = rows.owner[row]
    x = ones - rows.begin[row] + boxes[owner, 0]
    y = rows.y[row]
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    tight = np.zeros_like(boxes)
    if len(first):
        last = np.append(first[1:], len(owner)) - 1
        tight[owner[first]] = np.stack([
            np.minimum.reduceat(x, first), y[first],
            np.maximum.reduceat(x, first) + 1, y[last] + 1], axis=1)
    return tight


def runs_to_patches(runs: Runs, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Paint runs into patches.

    Args:
        runs: masks of one image.
        width: image width in pixels.

    Returns:
        Pixels uint8 (P,) and tight boxes int32 (N, 4).
    """
    boxes = run_boxes(runs, width)[0]
    heights, widths = box_sizes(boxes)
    offsets = exclusive_cumsum(heights * widths)
    owner = np.repeat(np.arange(len(runs)), np.diff(runs.splits))
    starts, lengths = runs.starts, runs.lengths
    y, x = np.divmod(starts, width)
    if (x + lengths > width).any():  # runs that go on in the next row: cut them at the border
        pieces = (x + lengths - 1) // width + 1
        run = np.repeat(np.arange(len(starts)), pieces)
        y = y[run] + ragged_arange(pieces)
        begin = np.maximum(starts[run], y * width)
        lengths = np.minimum((starts + lengths)[run], (y + 1) * width) - begin
        x, owner = begin - y * width, owner[run]
    begin = offsets[owner] + (y - boxes[owner, 1]) * widths[owner] + x - boxes[owner, 0]
    steps = np.zeros(offsets[-1] + 1, np.int8)  # +1 where a run begins, -1 behind its end
    np.add.at(steps, begin, 1)
    np.subtract.at(steps, begin + lengths, 1)
    data = np.cumsum(steps[:-1], dtype=np.int8) > 0
    return data.view(np.uint8), boxes.astype(np.int32)


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
    if len(starts):
        new = np.ones(len(starts), bool)
        new[1:] = (starts[1:] != (starts + lengths)[:-1]) | (owner[1:] != owner[:-1])
        first = np.flatnonzero(new)
        starts, lengths, owner = starts[first], np.add.reduceat(lengths, first), owner[first]
    splits = exclusive_cumsum(np.bincount(owner, minlength=len(boxes)))
    return Runs(starts, lengths, splits)


def decode_rles(rles: Sequence[dict[str, Any]]) -> Runs:
    """Read the runs of many compressed COCO RLEs in one go.

    Args:
        rles: ``counts`` as bytes or ASCII text; the order of pixels is the code's own.

    Returns:
        The runs of all masks. Source of the format: rleFrString in the COCO API's maskApi.c:
        five bits a character and one that says that more follow, differences to two counts back.
    """
    coded = [rle['counts'].encode() if isinstance(rle['counts'], str) else rle['counts']
             for rle in rles]
    raw = np.frombuffer(b''.join(coded), np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero((raw & 32) == 0) + 1
    begins = np.concatenate([[0], ends[:-1]])[:len(ends)]
    values: np.ndarray = np.zeros(len(ends), np.int64)
    if len(ends):
        values = np.add.reduceat((raw & 31) << (5 * ragged_arange(ends - begins)), begins)
        values -= ((raw[ends - 1] & 16) != 0) * (np.int64(1) << (5 * (ends - begins)))
    lengths = exclusive_cumsum(np.array([len(code) for code in coded], np.int64))
    splits = np.searchsorted(ends, lengths, side='right')
    counts = _undo_differences(values, splits)
    return _counts_to_runs(counts, splits)


def _undo_differences(values: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Add to each count from a mask's fourth on the one two places before it."""
    place = ragged_arange(np.diff(splits))
    counts = values.copy()
    for parity in (0, 1):
        chosen = np.flatnonzero((place % 2 == parity) & (place > 0))
        if not len(chosen):
            continue
        sums = np.cumsum(values[chosen])
        first = place[chosen] == (1 if parity else 2)
        before = np.where(first, sums - values[chosen], 0)[first]
        counts[chosen] = sums - before[np.cumsum(first) - 1]
    return counts


def _counts_to_runs(counts: np.ndarray, splits: np.ndarray) -> Runs:
    """Turn counts of zeros and ones in turn into runs of ones."""
    sums = exclusive_cumsum(counts)
    numbers = np.diff(splits)
    owner = np.repeat(np.arange(len(numbers)), numbers)
    ones = (ragged_arange(numbers) % 2 == 1) & (counts > 0)
    starts = sums[:-1] - sums[splits[:-1]][owner]
    kept = exclusive_cumsum(np.bincount(owner[ones], minlength=len(numbers)))
    return Runs(starts[ones], counts[ones], kept)

"""COCO's segmentations, checked before pycocotools sees them.

pycocotools trusts its input: an RLE is decoded with whatever size and counts it has, coordinates
that are not finite or far from the image hang or crash it, and four numbers are taken for a box.
Here a segmentation is decoded to the very pixels of pycocotools, or it is refused.
"""
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mmsart.structures.mask.coco_counts import decode_counts, encode_counts
from mmsart.structures.mask.ragged import exclusive_cumsum
from mmsart.structures.mask.rle import decode_rles
from mmsart.structures.mask.runs import Runs, run_boxes
from mmsart.utils.errors import UserError, shown

MOST_PIXELS = 1 << 31  # of an image: pycocotools counts in 32 bits
FARTHEST = 1 << 16  # pixels that a polygon may leave the image by, on each side
LONGEST_OUTLINE = 1 << 20  # pixels; pycocotools takes five steps, and 80 bytes, a pixel
LONGEST_NUMBER = 7  # characters of a compressed count: 35 bits

_NUMBERS = (int, float, np.integer, np.floating)


class BadSegmentationError(UserError):
    """A COCO segmentation that is no mask of its image.

    Attributes:
        index: which of the segmentations, from 0.
        problem: what was found and what was expected.
    """

    def __init__(self, index: int, problem: str) -> None:
        super().__init__(f'segmentation {index}: {problem}')
        self.index = index
        self.problem = problem

    def __reduce__(self) -> tuple:
        return type(self), (self.index, self.problem)


def find_bad_segmentations(
        segmentations: Sequence[Any], height: int, width: int) -> list[BadSegmentationError]:
    """Name every segmentation that is no mask of an image.

    Args:
        segmentations: as of :func:`decode_segmentations`.
        height: image height in pixels.
        width: image width in pixels.

    Returns:
        What is wrong with each of them, in their order.
    """
    problems: dict[int, str] = {}
    codes: dict[int, bytes] = {}
    all_good = _are_polygons(
        [each for each in segmentations if not isinstance(each, Mapping)], height, width)
    for index, segmentation in enumerate(segmentations):
        try:
            if height * width >= MOST_PIXELS:
                raise _Problem(f'found an image of {height} x {width} pixels, expected fewer than '
                               f'{MOST_PIXELS} pixels')
            if isinstance(segmentation, Mapping):
                codes[index] = _read_code(segmentation, height, width)
            elif not all_good:
                _check_polygons(segmentation, height, width)
        except _Problem as problem:
            problems[index] = str(problem)
    found = _check_codes(list(codes.values()), height, width)
    problems |= {index: problem for index, problem in zip(codes, found, strict=True) if problem}
    return [BadSegmentationError(index, problems[index]) for index in sorted(problems)]


def decode_segmentations(segmentations: Sequence[Any], height: int, width: int) -> Runs:
    """Read COCO segmentations with the pixels of pycocotools.

    Args:
        segmentations: for each mask a list of polygons ``[x1, y1, x2, y2, ...]`` whose union it
            is, or an RLE dict with ``size`` [height, width] and ``counts`` as a list, text or
            bytes.
        height: image height in pixels.
        width: image width in pixels.

    Returns:
        Their runs, pixels counted down the columns as COCO does.

    Raises:
        BadSegmentationError: the first one that is malformed, of another size than the image, or
            with counts of another sum than its pixels.
    """
    bad = find_bad_segmentations(segmentations, height, width)
    if bad:
        raise bad[0]
    return decode_rles([
        dict(counts=_read_code(each, height, width)) if isinstance(each, Mapping)
        else coco_mask.merge(coco_mask.frPyObjects(list(each), height, width))
        for each in segmentations])


def bound_segmentations(
        segmentations: Sequence[Any], height: int, width: int) -> np.ndarray:
    """Bound segmentations without decoding polygons.

    Args:
        segmentations: as of :func:`decode_segmentations`, well-formed.
        height: image height in pixels.
        width: image width in pixels.

    Returns:
        float64 (N, 4), half-open xyxy in pixels, of polygons the extent of their points inside
        the image; all zero for an RLE without pixels.
    """
    boxes = np.zeros((len(segmentations), 4))
    coded = [index for index, each in enumerate(segmentations) if isinstance(each, Mapping)]
    runs = decode_rles([
        dict(counts=_read_code(segmentations[index], height, width)) for index in coded])
    boxes[coded] = run_boxes(runs, height)[0][:, [1, 0, 3, 2]]  # x and y, as runs go down columns
    for index, segmentation in enumerate(segmentations):
        if not isinstance(segmentation, Mapping):
            points = np.concatenate([np.asarray(polygon, np.float64) for polygon in segmentation])
            points = points.reshape(-1, 2)
            boxes[index] = np.concatenate([points.min(0), points.max(0)])
    return boxes.clip(0, [width, height, width, height])


class _Problem(ValueError):
    """What is wrong with one segmentation."""


def _are_polygons(segmentations: Sequence[Any], height: int, width: int) -> bool:
    """Tell of all polygons of an image in one go whether they are good; False means maybe not."""
    if not all(isinstance(each, list) and each and all(isinstance(part, list) for part in each)
               for each in segmentations):
        return False
    polygons = [polygon for each in segmentations for polygon in each]
    if any(len(polygon) < 6 or len(polygon) % 2 for polygon in polygons):
        return False
    flat = list(itertools.chain.from_iterable(polygons))
    if not set(map(type, flat)) <= {int, float}:
        return False
    try:
        points = np.array(flat, np.float64).reshape(-1, 2)
    except OverflowError:
        return False
    near = (points >= -FARTHEST) & (points <= np.array([width, height]) + FARTHEST)
    # All outlines as one line with the ways between them: closing each adds no more than that.
    line = np.abs(np.diff(points, axis=0)).max(1).sum()
    return bool(near.all() and 2 * line <= LONGEST_OUTLINE)


def _check_polygons(polygons: Any, height: int, width: int) -> None:
    if not isinstance(polygons, list | tuple):
        raise _Problem(f'found {shown(polygons)}, expected polygons or an RLE')
    if not len(polygons):
        raise _Problem('found no polygon, expected at least one')
    if any(isinstance(each, _NUMBERS) for each in polygons):
        raise _Problem(f'found {shown(polygons[0])} in the place of a polygon, expected a list of '
                       'polygons [[x1, y1, x2, y2, ...], ...]')
    for number, polygon in enumerate(polygons):
        try:
            _check_polygon(_read_numbers(polygon), height, width)
        except _Problem as problem:
            raise _Problem(f'polygon {number}: {problem}') from None


def _check_polygon(values: np.ndarray, height: int, width: int) -> None:
    if len(values) % 2 or len(values) < 6:
        raise _Problem(
            f'found {len(values)} numbers, expected x and y of at least 3 points in turn')
    points = values.reshape(-1, 2)
    far = (points < -FARTHEST) | (points > np.array([width, height]) + FARTHEST)
    if far.any():
        raise _Problem(f'found the coordinate {points[far][0]:g}, expected at most {FARTHEST} '
                       f'pixels outside the image of {height} x {width} pixels')
    steps = np.abs(points - np.roll(points, 1, axis=0)).max(1)
    if steps.sum() > LONGEST_OUTLINE:
        raise _Problem(f'found an outline of {steps.sum():.0f} pixels, expected at most '
                       f'{LONGEST_OUTLINE}')


def _read_code(rle: Mapping[str, Any], height: int, width: int) -> bytes:
    """Return the compressed counts of an RLE whose size is the image's."""
    missing = [key for key in ('size', 'counts') if key not in rle]
    if missing:
        raise _Problem(f'found no {missing[0]}, expected an RLE with size and counts')
    size = rle['size']
    quick = type(size) is list and size == [height, width]
    if not quick and list(_read_numbers(size, 'size')) != [height, width]:
        raise _Problem(f'found an RLE of size {shown(list(size))}, expected [{height}, {width}], '
                       'the height and width of the image')
    counts = rle['counts']
    if isinstance(counts, str):
        if not counts.isascii():
            raise _Problem(f'found counts {shown(counts)}, expected COCO\'s compressed code')
        return counts.encode()
    if isinstance(counts, bytes):
        return counts
    values = _read_numbers(counts, 'counts')
    bad = values[(values < 0) | (values > height * width) | (values != np.floor(values))]
    if len(bad):
        raise _Problem(f'found the count {bad[0]:g}, expected whole numbers of pixels, '
                       f'0 to {height * width}')
    return encode_counts(values.astype(np.int64), np.array([0, len(values)]))[0]


def _check_codes(codes: Sequence[bytes], height: int, width: int) -> list[str | None]:
    """Say what is wrong with each compressed code; None where nothing is."""
    all_good = all(codes) and _is_code(b''.join(codes), np.cumsum([len(code) for code in codes]))
    problems = [
        None if all_good or _is_code(code, np.array([len(code)])) else
        f'found counts {shown(code.decode("latin-1"))}, expected COCO\'s compressed code'
        for code in codes]
    good = [index for index, problem in enumerate(problems) if problem is None]
    counts, splits = decode_counts([codes[index] for index in good])
    sums = np.diff(exclusive_cumsum(counts)[splits])
    lowest = np.minimum.reduceat(counts, splits[:-1]) if len(good) else counts
    for index, total, minimum in zip(good, sums.tolist(), lowest.tolist(), strict=True):
        if minimum < 0:
            problems[index] = f'found the count {minimum}, expected 0 or more'
        elif total != height * width:
            problems[index] = (f'found counts of {total} pixels, expected {height * width} as in '
                               f'the image of {height} x {width} pixels')
    return problems


def _is_code(code: bytes, ends: np.ndarray) -> bool:
    """Return whether codes have COCO's characters only, and numbers that end and are not too long.

    Args:
        code: the codes, one after another.
        ends: int (N,), where each of them ends.
    """
    raw = np.frombuffer(code, np.uint8).astype(np.int64) - 48
    if not len(raw) or raw.min() < 0 or raw.max() > 63 or (raw[ends - 1] & 32).any():
        return not len(ends)
    last = np.flatnonzero((raw & 32) == 0)
    return bool(np.diff(last, prepend=-1).max() <= LONGEST_NUMBER)


def _read_numbers(values: Any, name: str = '') -> np.ndarray:
    """Turn a list of finite numbers into float64; booleans and texts are no numbers."""
    found = f'{name} ' if name else ''
    if not isinstance(values, list | tuple | np.ndarray):
        raise _Problem(f'found {found}{shown(values)}, expected a list of numbers')
    if isinstance(values, np.ndarray):
        values = values.tolist()
    kinds = set(map(type, values))
    if bool in kinds or not all(issubclass(kind, _NUMBERS) for kind in kinds):
        wrong = next(value for value in values
                     if isinstance(value, bool) or not isinstance(value, _NUMBERS))
        raise _Problem(f'found {found}{shown(wrong)}, expected numbers')
    try:
        numbers = np.array(values, np.float64)
    except OverflowError:  # a whole number of more than 308 digits
        raise _Problem(f'found {found}inf, expected finite numbers') from None
    if not np.isfinite(numbers).all():
        raise _Problem(f'found {found}{numbers[~np.isfinite(numbers)][0]}, expected finite numbers')
    return numbers

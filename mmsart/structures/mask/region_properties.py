"""Shape and brightness of masks: scikit-image's `regionprops`, of all masks of an image at once.

The definitions are those of `skimage.measure.regionprops`; the tests hold both together. Taking
one mask at a time there costs some 2 ms each, most of it for the convex hull.
"""
import itertools
from collections.abc import Iterator

import numpy as np

from mmsart.structures.mask.convex_hulls import Spans, convex_areas_and_diameters
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.patches import box_sizes, patch_rows
from mmsart.structures.mask.ragged import exclusive_cumsum, ragged_arange

CHUNK_PIXELS = 1 << 18  # of patches looked at in one go; each costs about 100 bytes meanwhile

# Length of border that a border pixel stands for, by how many of its neighbours belong to the
# border: 1 for itself, 2 for each at a side, 10 for each at a corner.
# Source: K. Benkrid, D. Crookes, A. Benkrid, "Design and FPGA implementation of a perimeter
# estimator", 2000, as scikit-image's `perimeter` has it.
_PERIMETER_WEIGHTS = np.zeros(50)
_PERIMETER_WEIGHTS[[5, 7, 15, 17, 25, 27]] = 1
_PERIMETER_WEIGHTS[[21, 33]] = np.sqrt(2)
_PERIMETER_WEIGHTS[[13, 23]] = (1 + np.sqrt(2)) / 2

Properties = dict[str, np.ndarray]


def region_properties(masks: PatchMasks, image: np.ndarray) -> Properties:
    """Measure masks.

    Args:
        masks: N masks.
        image: (height, width), grey values of any numeric type.

    Returns:
        A column (N,) for each property, named as in scikit-image: ``centroid-0`` (y) and
        ``centroid-1`` (x) of pixel centres, ``bbox-0`` to ``bbox-3`` (top, left, bottom, right;
        half-open), ``area``, ``area_convex``, ``perimeter``, ``equivalent_diameter_area``,
        ``feret_diameter_max``, ``axis_major_length``, ``axis_minor_length``, ``eccentricity``,
        ``solidity``, ``orientation`` (angle between the axis of rows and the major axis, from
        -pi/2 to pi/2, anticlockwise; -pi/4 where no axis is longer), ``intensity_mean``,
        ``intensity_std``, ``intensity_min``, ``intensity_max``; and beside them ``circularity``,
        4 pi area / perimeter². Lengths are in pixels. A mask without pixels has area and box 0
        and nan elsewhere.
    """
    filled = np.flatnonzero(masks.areas)
    chosen = masks[filled]
    chunks = [_measure(chosen[begin:end], image) for begin, end in _spans(chosen)]
    columns = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    if len(filled) == len(masks):
        return columns
    return {name: _spread(column, filled, len(masks),
                          0 if name == 'area' or name.startswith('bbox') else np.nan)
            for name, column in columns.items()}


def _spread(column: np.ndarray, places: np.ndarray, number: int, rest: float) -> np.ndarray:
    """Put values at their places in a longer column and `rest` between them."""
    spread = np.full(number, rest, column.dtype if rest == 0 else float)
    spread[places] = column
    return spread


def _spans(masks: PatchMasks) -> Iterator[tuple[int, int]]:
    """Split masks into groups of about CHUNK_PIXELS, at least one group and one mask in each."""
    cuts = np.searchsorted(masks.offsets, np.arange(0, masks.offsets[-1], CHUNK_PIXELS)).tolist()
    return itertools.pairwise(sorted({0, *cuts, len(masks)}) if len(masks) else [0, 0])


def _measure(masks: PatchMasks, image: np.ndarray) -> Properties:
    """Measure masks that are not empty."""
    rows = patch_rows(masks.boxes)
    pixels = np.flatnonzero(masks.data)
    row = np.searchsorted(rows.begin, pixels, side='right') - 1
    owner, y = rows.owner[row], rows.y[row]
    x = pixels - rows.begin[row] + masks.boxes[owner, 0]
    area = np.bincount(owner, minlength=len(masks))
    starts = exclusive_cumsum(area)[:-1]
    spans = _row_spans(owner, y, x, len(masks))
    area_convex, feret = convex_areas_and_diameters(spans)
    perimeter = _perimeters(masks, pixels, row)
    result: Properties = {
        **_position(owner, y, x, area, spans),
        'area': area, 'area_convex': area_convex, 'perimeter': perimeter,
        'equivalent_diameter_area': np.sqrt(4 * area / np.pi), 'feret_diameter_max': feret,
        'solidity': area / area_convex}
    result |= _ellipse(owner, y, x, area, result['centroid-0'], result['centroid-1'])
    with np.errstate(divide='ignore'):
        result['circularity'] = np.where(
            perimeter > 0, 4 * np.pi * area / perimeter ** 2, np.nan)
    return result | _intensities(image[y, x], owner, area, starts)


def _row_spans(owner: np.ndarray, y: np.ndarray, x: np.ndarray, number: int) -> Spans:
    """Find the first and the last pixel in each row of each mask; pixels are in that order."""
    starts = np.ones(len(y), bool)
    starts[1:] = (np.diff(owner) != 0) | (np.diff(y) != 0)
    ends = np.roll(starts, -1)
    splits = exclusive_cumsum(np.bincount(owner[starts], minlength=number))
    return Spans(y[starts], x[starts], x[ends], splits)


def _position(owner: np.ndarray, y: np.ndarray, x: np.ndarray, area: np.ndarray,
              spans: Spans) -> Properties:
    """Compute centroids and tight boxes."""
    number, first = len(area), spans.splits[:-1]
    if not number:
        return dict.fromkeys(('centroid-0', 'centroid-1'), np.zeros(0)) | dict.fromkeys(
            ('bbox-0', 'bbox-1', 'bbox-2', 'bbox-3'), np.zeros(0, np.int64))
    return {
        'centroid-0': np.bincount(owner, y, number) / area,
        'centroid-1': np.bincount(owner, x, number) / area,
        'bbox-0': spans.y[first], 'bbox-1': np.minimum.reduceat(spans.first, first),
        'bbox-2': spans.y[spans.splits[1:] - 1] + 1,
        'bbox-3': np.maximum.reduceat(spans.last, first) + 1}


def _ellipse(owner: np.ndarray, y: np.ndarray, x: np.ndarray, area: np.ndarray,
             centre_y: np.ndarray, centre_x: np.ndarray) -> Properties:
    """Compute the axes of the ellipse that has the second moments of the mask."""
    dy, dx = y - centre_y[owner], x - centre_x[owner]
    number = len(area)
    yy, xx, xy = (np.bincount(owner, product, number) / area
                  for product in (dy * dy, dx * dx, dy * dx))
    middle, spread = (yy + xx) / 2, np.hypot((yy - xx) / 2, xy)
    major, minor = middle + spread, np.maximum(middle - spread, 0)
    with np.errstate(invalid='ignore'):
        eccentricity = np.where(major > 0, np.sqrt(1 - minor / major), 0)
    return {
        'axis_major_length': 4 * np.sqrt(major), 'axis_minor_length': 4 * np.sqrt(minor),
        'eccentricity': eccentricity,
        'orientation': np.where(
            (yy == xx) & (xy == 0), -np.pi / 4, np.arctan2(2 * xy, yy - xx) / 2)}


def _intensities(values: np.ndarray, owner: np.ndarray, area: np.ndarray,
                 starts: np.ndarray) -> Properties:
    """Compute mean, standard deviation, minimum and maximum of the grey values of each mask."""
    if not len(area):
        return dict.fromkeys(
            ('intensity_mean', 'intensity_std', 'intensity_min', 'intensity_max'), np.zeros(0))
    with np.errstate(over='ignore', invalid='ignore'):  # of values that are not finite, or huge
        mean = np.bincount(owner, values, len(area)) / area
        variance = np.bincount(owner, (values - mean[owner]) ** 2, len(area)) / area
    return {'intensity_mean': mean, 'intensity_std': np.sqrt(variance),
            'intensity_min': np.minimum.reduceat(values, starts),
            'intensity_max': np.maximum.reduceat(values, starts)}


def _perimeters(masks: PatchMasks, pixels: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Estimate the lengths of the masks' borders.

    Args:
        masks: N masks.
        pixels: int64 (K,), their pixels' places in the data.
        row: int64 (K,), row of a patch that each pixel lies in, see `patch_rows`.

    Returns:
        float64 (N,), pixels.
    """
    heights, widths = box_sizes(masks.boxes)
    stride = widths + 2  # patches get a frame of one pixel
    begin = exclusive_cumsum((heights + 2) * stride)
    rows = patch_rows(masks.boxes)
    row_place = begin[rows.owner] + (ragged_arange(heights) + 1) * stride[rows.owner] + 1
    place = row_place[row] + pixels - rows.begin[row]
    step = stride[rows.owner[row]]
    inside = np.zeros(begin[-1], bool)
    inside[place] = True
    on_border = ~(inside[place - 1] & inside[place + 1] & inside[place - step]
                  & inside[place + step])
    place, step, owner = place[on_border], step[on_border], rows.owner[row[on_border]]
    border = np.zeros(begin[-1], np.uint8)
    border[place] = 1
    sides = border[place - 1] + border[place + 1] + border[place - step] + border[place + step]
    corners = (border[place - step - 1] + border[place - step + 1] + border[place + step - 1]
               + border[place + step + 1])
    return np.bincount(owner, _PERIMETER_WEIGHTS[1 + 2 * sides + 10 * corners], len(masks))

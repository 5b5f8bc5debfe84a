"""Convex hulls of masks: how many pixels they hold, and their largest diameter.

As in scikit-image, a pixel is not its centre but the diamond between the middles of its sides, and
the hull of a mask consists of the pixels whose centres lie in the hull of its diamonds or on its
border. All coordinates are doubled here, so they are whole numbers and the result is exact.
"""
import itertools
from typing import NamedTuple

import cv2
import numpy as np

from mmsart.structures.mask.ragged import exclusive_cumsum, ragged_arange


class Spans(NamedTuple):
    """The first and the last pixel of a mask in each row of the image that it has pixels in.

    Attributes:
        y: int64 (R,), rows, those of mask after mask.
        first: int64 (R,), column of the first pixel.
        last: int64 (R,), column of the last pixel.
        splits: int64 (N + 1,), rows of mask i are ``splits[i]:splits[i + 1]``.
    """

    y: np.ndarray
    first: np.ndarray
    last: np.ndarray
    splits: np.ndarray


def convex_areas_and_diameters(spans: Spans) -> tuple[np.ndarray, np.ndarray]:
    """Measure the convex hulls of masks.

    Args:
        spans: of masks that are not empty.

    Returns:
        Pixels of each hull, int64 (N,), and the largest distance between two points of it, in
        pixels, float64 (N,): scikit-image's ``area_convex`` and ``feret_diameter_max``.
    """
    filled = _fill(_hulls(spans), len(spans.splits) - 1)
    areas = np.add.reduceat(filled.last - filled.first + 1, filled.splits[:-1]) if len(
        filled.y) else np.zeros(0, np.int64)
    diameters = [_diameter(hull) for hull in _hulls(filled)]
    return areas, np.array(diameters, float)


def _hulls(spans: Spans) -> list[np.ndarray]:
    """Compute the hull of each mask's diamonds: int32 (K, 2), doubled xy, one turn around."""
    first, last, y = 2 * spans.first, 2 * spans.last, 2 * spans.y
    x = np.stack([first - 1, first, first, last, last, last + 1], axis=1)
    y = np.stack([y, y - 1, y + 1, y - 1, y + 1, y], axis=1)
    points = np.stack([x, y], axis=2).astype(np.int32)
    splits = spans.splits.tolist()
    return [cv2.convexHull(points[begin:end].reshape(-1, 2))[:, 0]
            for begin, end in itertools.pairwise(splits)]


def _fill(hulls: list[np.ndarray], number: int) -> Spans:
    """Find the pixels whose centres lie in hulls or on their borders."""
    if not hulls:
        none = np.zeros(0, np.int64)
        return Spans(none, none, none, np.zeros(1, np.int64))
    begin = np.concatenate(hulls).astype(np.int64)
    end = np.concatenate([np.roll(hull, -1, axis=0) for hull in hulls]).astype(np.int64)
    owner = np.repeat(np.arange(number), [len(hull) for hull in hulls])
    swap = (begin[:, 1] > end[:, 1])[:, None]
    upper, lower = np.where(swap, end, begin), np.where(swap, begin, end)
    # Rows of pixels have even numbers here, and hulls are flat at odd ones alone.
    first_row, last_row = -(-upper[:, 1] // 2), lower[:, 1] // 2
    count = np.maximum(last_row - first_row + 1, 0) * (upper[:, 1] < lower[:, 1])
    edge = np.repeat(np.arange(len(upper)), count)
    y = first_row[edge] + ragged_arange(count)
    run, rise = (lower - upper)[edge].T
    numerator = upper[edge, 0] * rise + (2 * y - upper[edge, 1]) * run  # doubled x, times rise
    first = -(-numerator // (2 * rise))  # rounded up
    last = numerator // (2 * rise)  # rounded down
    # A row meets the left and the right side of its hull; the right one rounds to more.
    order = np.lexsort((y, owner[edge]))
    group = np.stack([owner[edge][order], y[order]], axis=1)
    starts = np.flatnonzero(np.r_[True, (np.diff(group, axis=0) != 0).any(axis=1)])
    return Spans(
        group[starts, 1], np.minimum.reduceat(first[order], starts),
        np.maximum.reduceat(last[order], starts),
        exclusive_cumsum(np.bincount(group[starts, 0], minlength=number)))


def _diameter(hull: np.ndarray) -> float:
    """Find the largest distance between two corners, in pixels."""
    steps = hull[:, None].astype(np.int64) - hull[None]
    return float(np.sqrt((steps ** 2).sum(axis=2).max())) / 2

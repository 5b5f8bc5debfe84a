"""Masks from what a hand draws: polygons, brush strokes, lines that split."""
from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt
from skimage.draw import polygon

from mmsart.structures.mask.patches import Box, tight_patch
from mmsart.utils import UserError

Points = Sequence[Sequence[float]]

SHIFT = 4  # binary places of OpenCV's fixed point
SMALLEST_PART = 4
"""Pixels; a part that a line cuts off and that is smaller joins its neighbour."""


def fill_polygon(points: Points, size: tuple[int, int]) -> tuple[np.ndarray, Box]:
    """Paint the pixels whose centres lie inside a polygon.

    Args:
        points: corners xy in pixels; the pixel (y, x) is the square from (x, y) to (x + 1, y + 1).
        size: (h, w) of the image.

    Returns:
        uint8 (h, w) patch, and its box, half-open xyxy; without area where nothing is inside.

    Raises:
        UserError: there are fewer than three corners.
    """
    if len(points) < 3:
        raise UserError(f'polygon: found {len(points)} corners, expected at least 3')
    places, patch, box = _canvas(points, 1, size)
    patch[polygon(places[:, 1] - 0.5, places[:, 0] - 0.5, patch.shape)] = 1
    return _inside(patch, box, size)


def paint_stroke(points: Points, radius: float, size: tuple[int, int]) -> tuple[np.ndarray, Box]:
    """Paint with a round brush.

    Args:
        points: where the centre of the brush went, as of :func:`fill_polygon`.
        radius: of the brush in pixels.
        size: (h, w) of the image.

    Returns:
        As of :func:`fill_polygon`.

    Raises:
        UserError: there is no point.
    """
    if not points:
        raise UserError('stroke: found no point, expected at least 1')
    places, patch, box = _canvas(points, radius + 1, size)
    corners = _fixed(places)
    cv2.polylines(patch, [corners], False, (1,), max(1, round(2 * radius)), shift=SHIFT)
    for x, y in corners.tolist():
        cv2.circle(patch, (x, y), round(radius * (1 << SHIFT)), (1,), -1, shift=SHIFT)
    return _inside(patch, box, size)


def split_patch(patch: np.ndarray, box: Box, line: Points) -> list[np.ndarray]:
    """Cut a mask along a line.

    Args:
        patch: uint8 (h, w).
        box: where it lies in the image.
        line: points xy of the image.

    Returns:
        The parts, uint8 (h, w) each: every pixel is in one of them.

    Raises:
        UserError: the line does not divide the mask.
    """
    if len(line) < 2:
        raise UserError(f'line: found {len(line)} points, expected at least 2')
    wall = _draw_line(patch, box, line)
    before = cv2.connectedComponents(patch, connectivity=8)[0]
    count, numbered = cv2.connectedComponents(patch & (1 - wall), connectivity=4)
    pieces = np.asarray(numbered)
    areas = np.bincount(pieces.reshape(-1), minlength=count)[1:]
    kept = np.flatnonzero(areas >= SMALLEST_PART) + 1
    if len(kept) < 2 or len(kept) < before:  # one more than there were: 0 is the outside
        raise UserError('line: found that it divides no cell, expected it to cross one from edge '
                        'to edge')
    known = np.isin(pieces, kept)
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    owner = np.where(patch > 0, pieces[tuple(nearest)], 0)
    return [(owner == number).astype(np.uint8) for number in kept.tolist()]


def meets_line(patch: np.ndarray, box: Box, line: Points) -> bool:
    """Tell whether a line passes over a mask; arguments as of :func:`split_patch`."""
    return bool((patch & _draw_line(patch, box, line)).any())


def _draw_line(patch: np.ndarray, box: Box, line: Points) -> np.ndarray:
    """Draw a line as thin as can be that parts what lies beside it."""
    wall = np.zeros(patch.shape, np.uint8)
    corners = _fixed(np.asarray(line, float) - box[:2])
    cv2.polylines(wall, [corners], False, (1,), 1, cv2.LINE_4, SHIFT)
    return wall


def _canvas(
        points: Points, margin: float, size: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray, Box]:
    """Make an empty patch around points, and give them in its own frame."""
    height, width = size
    places: np.ndarray = np.asarray(points, float).reshape(-1, 2)
    if not np.isfinite(places).all():
        raise UserError('points: found a coordinate that is not finite, expected pixels')
    # The canvas ends near the image, so that no far-off point asks for much memory. The points
    # stay where they are: what paints cuts off by itself, and edges keep their slope.
    low, high = -np.array([margin, margin]), np.array([width, height]) + margin
    left, top = np.floor(np.clip(places.min(0), low, high) - margin).astype(int).tolist()
    right, bottom = (np.ceil(np.clip(places.max(0), low, high) + margin).astype(int) + 1).tolist()
    patch: np.ndarray = np.zeros((bottom - top, right - left), np.uint8)
    return places - (left, top), patch, (left, top, right, bottom)


def _fixed(places: np.ndarray) -> np.ndarray:
    """Turn corners of pixels into OpenCV's numbers, which count pixel centres."""
    return np.rint((places - 0.5) * (1 << SHIFT)).astype(np.int32).reshape(-1, 1, 2).squeeze(1)


def _inside(patch: np.ndarray, box: Box, size: tuple[int, int]) -> tuple[np.ndarray, Box]:
    """Cut away what lies outside the image."""
    left, top, right, bottom = box
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(right, size[1]), min(bottom, size[0])
    if x1 >= x2 or y1 >= y2:
        return np.zeros((0, 0), np.uint8), (0, 0, 0, 0)
    return tight_patch(patch[y1 - top:y2 - top, x1 - left:x2 - left], (x1, y1, x2, y2))

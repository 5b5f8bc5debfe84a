"""Outlines of cells as polygons, and their rasterisation into boxes of their own."""
from collections.abc import Sequence

import cv2
import numpy as np

_SHIFT = 4  # cv2 draws with 1/16 pixel resolution


def blob(rng: np.random.Generator, length: float, width: float, roughness: float) -> np.ndarray:
    """Draw the outline of a rounded body.

    Args:
        rng: source of chance.
        length: longer diameter in pixels.
        width: shorter diameter in pixels.
        roughness: size of the outline's waves as a share of the radius, 0 for an ellipse.

    Returns:
        float64 (32, 2), xy in pixels around (0, 0), the longer axis along x.
    """
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    radius: np.ndarray = np.ones(32)
    for order in (2, 3, 4, 5):
        wave = roughness * rng.normal() / order
        radius += wave * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    radius = np.clip(radius, 0.4, 1.7)
    return np.stack([length / 2 * np.cos(angle), width / 2 * np.sin(angle)], 1) * radius[:, None]


def corners(rng: np.random.Generator, length: float, width: float, number: int) -> np.ndarray:
    """Draw the outline of a body stretched between a few points of attachment.

    The sides between the corners are hollow, as those of cells that pull at the ground.

    Args:
        rng: source of chance.
        length: extent along x in pixels.
        width: extent along y in pixels.
        number: corners, 2 for a spindle.

    Returns:
        float64 (8 * number, 2), xy in pixels around (0, 0).
    """
    turn = rng.uniform(-0.35, 0.35, number)
    at = 2 * np.pi * np.arange(number) / number + (turn if number > 2 else 0)
    reach = rng.uniform(0.8, 1.2, number)
    tips = np.stack([np.cos(at), np.sin(at)], 1) * reach[:, None]
    step = np.linspace(0, 1, 8, endpoint=False)[None, :, None]
    side = tips[:, None] * (1 - step) + np.roll(tips, -1, 0)[:, None] * step
    if number == 2:  # a lens: the two sides bulge out instead
        bulge = np.sin(np.pi * step[..., 0]) * np.array([[1.0], [-1.0]]) * rng.uniform(0.8, 1.0)
        side[..., 1] += bulge
    else:
        side *= 1 - rng.uniform(0.0, 0.35, (number, 1, 1)) * np.sin(np.pi * step)
    return side.reshape(-1, 2) * np.array([length / 2, width / 2])


def walk(rng: np.random.Generator, start: np.ndarray, heading: np.ndarray, steps: int,
         step: float, bend: float) -> np.ndarray:
    """Let curves wander.

    Args:
        rng: source of chance.
        start: (K, 2), xy of each curve's first point in pixels.
        heading: (K,), first direction in radians.
        steps: points after the first.
        step: distance of two points in pixels.
        bend: standard deviation of the change of direction a step, radians.

    Returns:
        float64 (K, steps + 1, 2), xy in pixels.
    """
    turns = rng.normal(0, bend, (len(start), steps))
    turns[:, 1:] += 0.6 * turns[:, :-1]  # bends last longer than a step
    angle = heading[:, None] + np.cumsum(turns, 1)
    moves = step * np.stack([np.cos(angle), np.sin(angle)], -1)
    path = np.concatenate([np.zeros((len(start), 1, 2)), np.cumsum(moves, 1)], 1)
    return start[:, None] + path


def ribbon(path: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Widen a curve to a ribbon.

    Args:
        path: (P, 2), xy in pixels.
        widths: (P,), full width at each point in pixels.

    Returns:
        float64 (2 * P, 2), the outline.
    """
    along = np.gradient(path, axis=0)
    along /= np.maximum(np.hypot(along[:, :1], along[:, 1:]), 1e-6)
    across = np.stack([-along[:, 1], along[:, 0]], 1) * (widths / 2)[:, None]
    return np.concatenate([path + across, (path - across)[::-1]])


def rotate(points: np.ndarray, angle: float) -> np.ndarray:
    """Turn points around (0, 0).

    Args:
        points: (..., 2), xy.
        angle: radians, from x towards y.

    Returns:
        (..., 2), the turned points.
    """
    cosine, sine = np.cos(angle), np.sin(angle)
    return points @ np.array([[cosine, sine], [-sine, cosine]])


def polygon_area(points: np.ndarray) -> float:
    """Compute a polygon's area by the shoelace formula.

    Args:
        points: (P, 2), xy.

    Returns:
        The area in square units of the points.
    """
    x, y = points.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def rasterise(polygons: Sequence[np.ndarray], height: int, width: int,
              ) -> tuple[tuple[int, int, int, int], np.ndarray] | None:
    """Draw the union of polygons into its own box.

    Args:
        polygons: outlines, each (P, 2), xy in image pixels.
        height: image height in pixels.
        width: image width in pixels.

    Returns:
        The half-open box x1, y1, x2, y2 inside the image, and the coverage of its pixels, uint8
        of the box's size, 0 to 255. None where nothing falls into the image.
    """
    points = np.concatenate(polygons)
    x1, y1 = np.maximum(np.floor(points.min(0)).astype(int), 0)
    x2, y2 = np.minimum(np.ceil(points.max(0)).astype(int) + 1, (width, height))
    if x1 >= x2 or y1 >= y2:
        return None
    patch = np.zeros((y2 - y1, x2 - x1), np.uint8)
    for polygon in polygons:
        # centre of pixel (0, 0) is (0.5, 0.5) in image coordinates, (0, 0) in cv2's
        fixed = np.round((polygon - (x1 + 0.5, y1 + 0.5)) * (1 << _SHIFT)).astype(np.int32)
        cv2.fillPoly(patch, [fixed], (255,), cv2.LINE_AA, _SHIFT)
    return (int(x1), int(y1), int(x2), int(y2)), patch

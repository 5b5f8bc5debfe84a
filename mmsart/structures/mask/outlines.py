"""Outlines of masks along the edges of their pixels, as exact polygons.

A pixel (y, x) is the square from corner (x, y) to (x + 1, y + 1), so a polygon's area is the
number of pixels of its mask and nothing is lost or rounded on the way.
"""
from typing import NamedTuple

import cv2
import numpy as np


class Polygon(NamedTuple):
    """One piece of a mask, connected through the sides of its pixels.

    Attributes:
        exterior: int32 (K, 2), corners xy, clockwise on a screen (y points down), not closed.
        holes: the same of each hole, anticlockwise.
    """

    exterior: np.ndarray
    holes: list[np.ndarray]


def trace_outline(patch: np.ndarray, left: int = 0, top: int = 0) -> list[Polygon]:
    """Trace the pixel edges of a mask.

    Every ring is simple: none visits a corner twice, so the polygons are valid in the sense of
    the OGC, also where pieces or holes touch at a corner. Straight edges have no corners inside.

    Args:
        patch: (h, w), non-zero inside.
        left: column of the image that the patch begins in.
        top: row of the image that the patch begins in.

    Returns:
        The pieces, in the order of their first pixel, row by row; empty for an empty mask.

    Example:
        >>> [polygon] = trace_outline(np.array([[1, 1, 1]]), left=4)
        >>> polygon.exterior.tolist()
        [[4, 0], [7, 0], [7, 1], [4, 1]]
    """
    framed = np.pad(np.asarray(patch) != 0, 1)
    rings = [ring for loop in _loops(framed) for ring in _split_at_pinches(loop)]
    arrays = [np.array(ring, np.int32) for ring in rings]
    if len(arrays) == 1:
        return [Polygon(arrays[0] + np.array([left, top], np.int32), [])]
    return _assemble(arrays, framed, np.array([left, top], np.int32))


def _loops(framed: np.ndarray) -> list[list[tuple[int, int]]]:
    """Walk along the edges between inside and outside, with the inside to the right.

    Corners on a row of the lattice are pairwise the ends of horizontal edges, those on a column
    of vertical ones. Where two pixels touch at a corner only, that corner is there twice, once
    for each pixel, so that the walk stays with the pixel it follows.

    Args:
        framed: bool (h + 2, w + 2), the mask with a frame of one pixel.

    Returns:
        Closed walks over corners xy.
    """
    tl, tr, bl, br = framed[:-1, :-1], framed[:-1, 1:], framed[1:, :-1], framed[1:, 1:]
    touch = (tl == br) & (tr == bl) & (tl != tr)
    rows, columns = np.nonzero((tl ^ tr ^ bl ^ br) | touch)
    touching = touch[rows, columns]
    twice = np.repeat(np.arange(len(rows)), 1 + touching)
    ys, xs = rows[twice], columns[twice]
    # Of a corner's two copies the first ends the edge to its left. It belongs to the pixel at the
    # top left, whose other edge goes up, or to the one at the bottom left, whose other goes down.
    second = np.zeros(len(ys), bool)
    second[1:] = twice[1:] == twice[:-1]
    down = second == tl[ys, xs]
    by_column = np.lexsort((down, ys, xs))
    vertical = np.empty(len(ys), np.int64)
    vertical[by_column] = by_column[np.arange(len(ys)) ^ 1]
    partner = vertical.tolist()
    corners = list(zip(xs.tolist(), ys.tolist(), strict=True))
    inside = br[ys, xs].tolist()
    seen = bytearray(len(corners))
    loops = []
    for start in range(0, len(corners), 2):  # pairs 2 k, 2 k + 1 are the horizontal edges
        if seen[start]:
            continue
        # The first edge of a loop is its topmost: inside is below it, or above it in a hole.
        at = start if inside[start] else start + 1
        loop = []
        while not seen[at]:
            other = at ^ 1
            seen[at] = seen[other] = 1
            loop += [corners[at], corners[other]]
            at = partner[other]
        loops.append(loop)
    return loops


def _split_at_pinches(loop: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Cut a loop that visits corners twice into rings that do not."""
    if len(set(loop)) == len(loop):
        return [loop]
    rings: list[list[tuple[int, int]]] = []
    path: list[tuple[int, int]] = []
    place: dict[tuple[int, int], int] = {}
    for corner in loop:
        if corner in place:
            begin = place[corner]
            rings.append(path[begin:])
            for left_behind in path[begin:]:
                del place[left_behind]
            del path[begin:]
        place[corner] = len(path)
        path.append(corner)
    return [*rings, path]


def _assemble(rings: list[np.ndarray], framed: np.ndarray, offset: np.ndarray) -> list[Polygon]:
    """Assign each hole to the piece that it lies in."""
    if not rings:
        return []
    _, pieces = cv2.connectedComponents(framed.astype(np.uint8), connectivity=4)
    exteriors, holes = {}, []
    for ring in rings:
        piece = pieces[_pixel_to_the_right(ring)]
        if _signed_area(ring) > 0:
            exteriors[piece] = Polygon(ring + offset, [])
        else:
            holes.append((piece, ring + offset))
    for piece, ring in holes:
        exteriors[piece].holes.append(ring)
    return [exteriors[piece] for piece in sorted(exteriors)]


def _pixel_to_the_right(ring: np.ndarray) -> tuple[int, int]:
    """Find the framed pixel, row and column, to the right of a ring's first edge."""
    (x, y), (next_x, next_y) = ring[:2].tolist()
    right, down = np.sign(next_x - x), np.sign(next_y - y)
    # The lattice's corner (x, y) has the framed pixels (y, x) to (y + 1, x + 1) around it.
    return y + int(right > 0 or down > 0), x + int(right > 0 or down < 0)


def _signed_area(ring: np.ndarray) -> float:
    """Compute the area by the shoelace formula, positive if clockwise on a screen."""
    x, y = ring.T.astype(np.int64)
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2

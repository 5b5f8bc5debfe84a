"""How well a grid of anchors fits true boxes, before anything is trained."""
from collections.abc import Sequence

import numpy as np

Level = tuple[np.ndarray, tuple[float, float], tuple[int, int]]
"""Base anchors (A, 4) xyxy, stride (x, y) in pixels, and size (rows, columns) of the grid."""


def best_anchor_ious(boxes: np.ndarray, levels: Sequence[Level]) -> np.ndarray:
    """Find the best IoU of each box with any anchor.

    The anchors of a level are copies of a few base anchors on a grid. The overlap with a copy
    falls with its distance along either axis, so of each base anchor only the copy nearest to the
    box's centre is looked at, instead of the whole grid.

    Args:
        boxes: (N, 4) xyxy in pixels of the network's input, with positive extent.
        levels: of the feature pyramid.

    Returns:
        (N,) float64.
    """
    best = np.zeros(len(boxes))
    for base, stride, grid in levels:
        for anchor in base:
            cells = _nearest(boxes, anchor, stride, grid)
            best = np.maximum(best, _ious(boxes, anchor, stride, cells))
    return best


def count_anchors(boxes: np.ndarray, levels: Sequence[Level], iou_thr: float) -> np.ndarray:
    """Count the anchors of at least some IoU with each box.

    An anchor that fits two boxes counts for both; an assigner gives it to the better one.

    Args:
        boxes: (N, 4) xyxy in pixels of the network's input, with positive extent.
        levels: of the feature pyramid.
        iou_thr: in (0, 1].

    Returns:
        (N,) int64.
    """
    counts = np.zeros(len(boxes), np.int64)
    for base, stride, grid in levels:
        limit = np.array(grid)[::-1]
        for anchor in base:
            nearest = _nearest(boxes, anchor, stride, grid)
            # With sizes a and b along an axis and centres d apart, the overlap is at most
            # (a + b) / 2 - d, and an IoU of t needs t * max(a, b) of it, and b <= a / t.
            share = max(1 - iou_thr, (1 / iou_thr - 1) / 2)
            reach = np.ceil(share * (anchor[2:] - anchor[:2]) / stride).astype(int) + 1
            for x in range(-reach[0], reach[0] + 1):
                for y in range(-reach[1], reach[1] + 1):
                    cells = nearest + [x, y]
                    inside = ((cells >= 0) & (cells < limit)).all(1)
                    counts += inside & (_ious(boxes, anchor, stride, cells) >= iou_thr)
    return counts


def _nearest(boxes: np.ndarray, anchor: np.ndarray, stride: tuple[float, float],
             grid: tuple[int, int]) -> np.ndarray:
    """Return the column and row of the copy nearest to each box, (N, 2) int64."""
    shift = (boxes[:, :2] + boxes[:, 2:] - anchor[:2] - anchor[2:]) / 2
    return np.clip(np.rint(shift / stride), 0, np.array(grid)[::-1] - 1).astype(np.int64)


def _ious(boxes: np.ndarray, anchor: np.ndarray, stride: tuple[float, float],
          cells: np.ndarray) -> np.ndarray:
    """Compute the IoU of each box with one copy of an anchor, (N,)."""
    offset = cells * stride
    low = np.maximum(boxes[:, :2], anchor[:2] + offset)
    high = np.minimum(boxes[:, 2:], anchor[2:] + offset)
    shared = np.maximum(high - low, 0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return shared / (areas + (anchor[2:] - anchor[:2]).prod() - shared)

"""Overlap removal of 800 predicted masks: box-local against a loop over full-size bitmaps.

The loop is timed twice: as one writes it, with ``mask.sum()``, and with numpy's much faster
``count_nonzero``. The bar is judged by the first; pieces are counted only where pixels were lost.

Example: ``python benchmarks/overlap_removal.py``
"""
import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from common import Row, compare, judge, run
from inputs import DenseImage, dense_images

from mmsart.postprocessing import remove_overlap, score_order
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.rle import parse_rles

DETECTIONS = 800
LEAST_RATIO = 20
MAX_LOST_SHARE, MIN_AREA = 0.5, 20


def predictions(image: DenseImage, seed: int = 0) -> tuple[CroppedMasks, np.ndarray]:
    """Predict each cell a few pixels off, and some cells twice.

    Returns:
        800 instances and their scores, float (800,).
    """
    rng = np.random.default_rng(seed)
    cells = CroppedMasks.from_runs(parse_rles(image.rles), image.height, image.width)
    chosen = np.concatenate([np.arange(len(cells)), rng.integers(0, len(cells), DETECTIONS)])
    masks = cells[chosen[:DETECTIONS]]
    low, high = -masks.boxes[:, :2], [image.width, image.height] - masks.boxes[:, 2:]
    shift = np.clip(rng.integers(-2, 3, (DETECTIONS, 2)), low, high)
    boxes = masks.boxes + np.tile(shift, 2)
    return CroppedMasks(masks.data, boxes, image.height, image.width), rng.random(DETECTIONS)


def full_canvas_loop(
        bitmaps: np.ndarray, scores: np.ndarray, pieces: str,
        area: Callable[[np.ndarray], int]) -> tuple[list[np.ndarray], list[int]]:
    """Remove overlap with full-size masks, one at a time.

    Args:
        bitmaps: (N, height, width) bool.
        scores: (N,) float.
        pieces: as for remove_overlap.
        area: counts the pixels of a bool mask.

    Returns:
        What is left of the kept masks, (height, width) bool each, and their positions.
    """
    canvas = np.zeros(bitmaps.shape[1:], bool)
    kept, left = [], []
    for i in score_order(scores).tolist():
        rest = bitmaps[i] & ~canvas
        whole, visible = area(bitmaps[i]), area(rest)
        if pieces == 'largest' and visible < whole and count(rest) > count(bitmaps[i]):
            _, labels, stats, _ = cv2.connectedComponentsWithStats(rest.view(np.uint8))
            rest = labels == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])
            visible = area(rest)
        if whole - visible > MAX_LOST_SHARE * whole or visible < MIN_AREA:
            continue
        canvas |= rest
        kept.append(i)
        left.append(rest)
    return left, kept


def count(mask: np.ndarray) -> int:
    """Count the pieces of a bool mask."""
    return cv2.connectedComponents(mask.view(np.uint8))[0] - 1


def measure(args: argparse.Namespace) -> list[Row]:
    """Compare on the densest generated image and, where there is data, the densest real one."""
    with tempfile.TemporaryDirectory() as folder:
        images = dense_images(Path(folder))
    return [row for image in images for row in measure_image(image, args.rounds)]


def measure_image(image: DenseImage, rounds: int) -> list[Row]:
    """Compare on one image, with and without a look at the pieces."""
    masks, scores = predictions(image)
    bitmaps = masks.to_ndarray().astype(bool)
    rows = []
    for pieces, way, area in (
            ('keep', 'sum', np.sum), ('keep', 'count_nonzero', np.count_nonzero),
            ('largest', 'sum', np.sum)):
        ours = partial(
            remove_overlap, masks, scores, np.full(DETECTIONS, MAX_LOST_SHARE),
            np.full(DETECTIONS, MIN_AREA), [pieces] * DETECTIONS)
        stock = partial(full_canvas_loop, bitmaps, scores, pieces, area)
        (found, kept), (left, expected) = ours(), stock()
        same = kept.tolist() == expected and (found.to_ndarray() == np.array(left)).all()
        row = compare(
            f'overlap removal, {DETECTIONS} masks, pieces={pieces}, loop with {way} '
            f'({image.name})', stock, ours, rounds, ours_per_round=5,
            difference=0.0 if same else 1.0)
        if way == 'sum':
            row.bar = judge(
                f'>= {LEAST_RATIO} x, identical', same and (row.ratio or 0) >= LEAST_RATIO)
        rows.append(row)
    return rows


if __name__ == '__main__':
    raise SystemExit(run(measure, __doc__))

"""The competition's metric: one dense image, 606 images of the three types, and a large image.

Stock is what public notebooks do: intersections of full-size bitmaps by a matrix product, and a hit
for every prediction with a partner. IoUs are divided in double precision: in single precision one
of exactly 0.55 would count as more.
"""
import argparse
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from common import Row, compare, judge, run, time_alone, traced_peak
from folders import NUM_IMAGES, mixed_images
from inputs import DENSEST, HEIGHT, WIDTH

from mmsart.datasets.classes import CLASSES
from mmsart.datasets.synthetic import generate_image
from mmsart.evaluation.functional.error_kinds import find_error_kinds
from mmsart.evaluation.functional.sartorius_map import IOU_THRS, score_image, summarize
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.intersections import run_intersections
from mmsart.structures.mask.rle import parse_rles

EXTRA = 3  # predictions without a cell
COPIES, CELLS = 5, 800  # of an image in each direction, and in each: 20,000 cells


def measure(args: argparse.Namespace) -> list[Row]:
    """Time the metric on dense runs and on 606 images; memory on one image of 20,000 cells."""
    return [_dense(min(args.rounds, 3)), _mixed(), *_many(args.rounds)]


def _dense(rounds: int) -> Row:
    drawn = generate_image('shsy5y', np.random.default_rng(0), HEIGHT, WIDTH, num_cells=DENSEST)
    truth = CroppedMasks.from_runs(drawn.runs(), HEIGHT, WIDTH)
    predictions = predict(truth)
    true_bits, found_bits = truth.to_ndarray(), predictions.to_ndarray()
    true_runs, found_runs = truth.to_runs(), predictions.to_runs()

    def stock() -> np.ndarray:
        return count_by_bitmaps(found_bits, true_bits)

    def ours() -> np.ndarray:
        return score_image(found_runs, true_runs).tp

    row = compare(f'metric on runs, {len(predictions)} x {len(truth)} cells', stock, ours,
                  rounds, difference=float(np.abs(stock() - ours()).max()))
    row.bar = judge('<= 15 ms', row.ours <= 15)
    return row


def _mixed() -> Row:
    samples = [(drawn.texts(), CroppedMasks.from_runs(drawn.runs(), HEIGHT, WIDTH),
                drawn.cell_type) for drawn in mixed_images()]
    predictions = [predict(truth) for _, truth, _ in samples]
    begin = time.process_time()
    scores = [_score(texts, found)
              for (texts, _, _), found in zip(samples, predictions, strict=True)]
    summarize(scores, [cell_type for _, _, cell_type in samples], CLASSES)
    seconds = time.process_time() - begin
    cells = sum(len(texts) for texts, _, _ in samples)
    return Row(f'metric from text and patches, {NUM_IMAGES} images, {cells:,} cells', None,
               seconds, 's', bar=judge('<= 10 s', seconds <= 10))


def _many(rounds: int) -> list[Row]:
    """Score an image of many cells, and tell its kinds of error as a report does."""
    drawn = generate_image('shsy5y', np.random.default_rng(0), HEIGHT, WIDTH, num_cells=CELLS)
    cells = CroppedMasks.from_runs(drawn.runs(), HEIGHT, WIDTH)
    size = COPIES * HEIGHT, COPIES * WIDTH
    places = [(row * HEIGHT, column * WIDTH) for row in range(COPIES) for column in range(COPIES)]
    truth, found = (CroppedMasks.cat([_place(masks, place, size) for place in places]).to_runs()
                    for masks in (cells, predict(cells)))

    def compared() -> tuple:
        kinds = find_error_kinds(run_intersections(found, truth), found.areas, truth.areas,
                                 np.ones(len(found), bool))
        return score_image(found, truth), kinds

    what = f'metric and kinds of error on runs, {len(found):,} x {len(truth):,} cells'
    return [time_alone(what, compared, rounds),
            Row(f'{what}: peak memory, traced', None, traced_peak(compared), 'MB')]


def _place(masks: CroppedMasks, place: tuple[int, int], size: tuple[int, int]) -> CroppedMasks:
    """Put masks into a larger image, at a row and a column."""
    y, x = place
    return CroppedMasks(masks.data, masks.boxes + np.array([x, y, x, y], np.int32), *size)


def _score(texts: Sequence[str], predictions: CroppedMasks) -> Any:
    """Score an image from Kaggle's text and predicted patches."""
    return score_image(predictions.to_runs(), parse_rles(texts))


def predict(truth: CroppedMasks) -> CroppedMasks:
    """Imitate predictions: every cell, a quarter each moved by 0 to 3 pixels, and a few more."""
    parts = [truth[i::4].translate((HEIGHT, WIDTH), (i, 0), 'both') for i in range(4)]
    extra = truth[:EXTRA].translate((HEIGHT, WIDTH), (40, 30), 'both')
    return CroppedMasks.cat([*parts, extra])


def count_by_bitmaps(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Count the pairs at each threshold from full-size bitmaps, uint8 (N, h, w)."""
    a = found.reshape(len(found), -1).astype(np.float32)
    b = truth.reshape(len(truth), -1).astype(np.float32)
    shared = (a @ b.T).astype(np.float64)
    ious = shared / (a.sum(1)[:, None] + b.sum(1) - shared)
    return (ious[None] > IOU_THRS[:, None, None]).any(axis=1).sum(axis=1)


if __name__ == '__main__':
    raise SystemExit(run(measure, __doc__))

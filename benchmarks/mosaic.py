"""A mosaic of 3 x 3 real images, predicted tile by tile, against the images by themselves.

Mosaics of one type of cell, and one with a row of each. Needs the competition's data
(SARTORIUS_ROOT). A mosaic is no photograph: where two images meet, cells are cut and neighbours
wrong, which the images by themselves do not have.

Example: ``python benchmarks/mosaic.py [WEIGHTS]``
"""
import argparse
import os
import time
import warnings
from pathlib import Path

import numpy as np

from mmsart.apis import CellSegmenter
from mmsart.apis.inference import Segmentation
from mmsart.datasets.image_file import read_grey
from mmsart.datasets.splits import holdout
from mmsart.datasets.train_csv import TrainTable, read_train_csv
from mmsart.evaluation.functional import score_image, summarize
from mmsart.structures.mask.patch_masks import PatchMasks

SIDE = 3
ALLOWED = 0.01  # of mAP
MIXED = 'a row of each'


def choose_images(table: TrainTable, cell_type: str, rng: np.random.Generator) -> list[int]:
    """Choose nine validation images of a type, or three of each for the mixed mosaic."""
    filled = np.flatnonzero(np.diff(table.splits) > 0)
    names, kinds, samples = (column[filled].tolist() for column in (
        table.image_ids, table.cell_types, table.sample_ids))
    _, val = holdout(names, kinds, samples, val_fraction=0.2, seed=0)
    types = sorted(set(table.cell_types.tolist())) if cell_type == MIXED else [cell_type]
    return [int(image) for name in types for image in rng.permutation(
        [i for i in filled[val] if table.cell_types[i] == name])[:SIDE ** 2 // len(types)]]


def cut_out(found: Segmentation, number: int, size: tuple[int, int]) -> PatchMasks:
    """Take the cells of one image out of the mosaic's: those whose box has its centre there."""
    height, width = size
    top, left = number // SIDE * height, number % SIDE * width
    masks = found.frames[0].detections.masks
    centres = (masks.boxes[:, :2] + masks.boxes[:, 2:]) / 2
    inside = np.all((centres >= (left, top)) & (centres < (left + width, top + height)), axis=1)
    chosen = masks[inside]
    bitmaps = np.zeros((len(chosen), height, width), np.uint8)
    for bitmap, patch, (x1, y1, x2, y2) in zip(
            bitmaps, chosen.patches(), (chosen.boxes - (left, top, left, top)).tolist(),
            strict=True):
        inside_patch = patch[max(-y1, 0):height - y1, max(-x1, 0):width - x1]
        bitmap[max(y1, 0):y2, max(x1, 0):x2] = inside_patch
    return PatchMasks.from_bitmaps(bitmaps)


def main(argv: list[str] | None = None) -> int:
    """Print the mAP of both."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument('weights', nargs='?', help="by default the package's own model")
    parser.add_argument('--no-flips', action='store_true', help='look at each image once')
    args = parser.parse_args(argv)
    warnings.simplefilter('ignore')
    root = Path(os.environ['SARTORIUS_ROOT'])
    table = read_train_csv(root / 'train.csv')
    segmenter = CellSegmenter(args.weights, flips=False if args.no_flips else None)
    for name in (*segmenter.classes, MIXED):
        chosen = choose_images(table, name, np.random.default_rng(0))
        images = [read_grey(root / 'train' / f'{table.image_ids[i]}.png') for i in chosen]
        height, width = images[0].shape
        truth = [table.runs(i) for i in chosen]
        types = table.cell_types[chosen].tolist()
        begin = time.perf_counter()
        alone = [segmenter(image).frames[0].detections.masks for image in images]
        middle = time.perf_counter()
        mosaic = segmenter(np.vstack([np.hstack(images[i:i + SIDE])
                                      for i in range(0, SIDE ** 2, SIDE)]))
        end = time.perf_counter()
        apart = [cut_out(mosaic, number, (height, width)) for number in range(SIDE ** 2)]
        scores = [summarize([score_image(masks.to_runs(), true) for masks, true
                             in zip(found, truth, strict=True)], types, segmenter.classes)['mAP']
                  for found in (alone, apart)]
        print(f'{name}: images alone mAP {scores[0]:.4f} ({sum(map(len, alone))} cells, '
              f'{middle - begin:.1f} s), mosaic {scores[1]:.4f} ({len(mosaic)} cells, '
              f'{end - middle:.1f} s), within {ALLOWED}: '
              f'{"met" if abs(scores[1] - scores[0]) <= ALLOWED else "MISSED"}', flush=True)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

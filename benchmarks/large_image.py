"""Memory of a large image of many cells, above that of the model: tiles, seams and files.

The detector here finds bright discs by their pixels, so that every cell of the image is known and
found, and no network stands between the question and the answer.

Example: ``python benchmarks/large_image.py``
"""
import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from common import Row, judge, rss_peak, run
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import nn

from mmsart.apis.inference import CellSegmenter
from mmsart.apis.models import ModelSource, Tiles
from mmsart.apis.predictor import Predictor
from mmsart.postprocessing import complete_config
from mmsart.structures.mask.cropped_masks import CroppedMasks

SIDE, CELLS, RADIUS = 10_000, 50_000, 12
MOST_MB = 2_000
CLASSES = ('cell',)


class DiscDetector(nn.Module):
    """Stand in for a detector: a cell for each bright piece of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.device = nn.Parameter(torch.zeros(0))  # tells where it is

    def test_step(self, data: dict) -> list:
        """Find the pieces of each image."""
        return self.predict(data['inputs'], data['data_samples'])

    def predict(self, images: list[torch.Tensor], samples: list) -> list:
        """Find the pieces of each image."""
        for image, sample in zip(images, samples, strict=True):
            bright = (image[0].numpy() > 127).astype(np.uint8)
            _, labels, stats, _ = cv2.connectedComponentsWithStats(bright, connectivity=4)
            corners, sizes = stats[1:, :2], stats[1:, 2:4]
            boxes = np.concatenate([corners, corners + sizes], axis=1)
            patches = [(labels[y1:y2, x1:x2] == number).astype(np.uint8)
                       for number, (x1, y1, x2, y2) in enumerate(boxes.tolist(), 1)]
            found = len(boxes)
            sample.pred_instances = InstanceData(
                scores=torch.full((found,), 0.9), labels=torch.zeros(found, dtype=torch.int64),
                bboxes=torch.from_numpy(boxes).float(),
                masks=CroppedMasks.from_patches(patches, boxes, *bright.shape))
        return samples


class DiscSource(ModelSource):
    """A model that needs no weights."""

    def build(self, device: Any) -> Any:
        """Build the detector."""
        return DiscDetector()


def disc_segmenter() -> CellSegmenter:
    """Make a segmenter of bright discs, with the tiles of a model."""
    source = DiscSource(
        'discs', Path(), ConfigDict(), [dict(type='PackDetInputs', meta_keys=('img_id', 'ori_shape',
                                                                              'img_path'))],
        CLASSES, None, complete_config({}, CLASSES), '', Tiles(), {})
    segmenter = CellSegmenter.__new__(CellSegmenter)
    segmenter.source, segmenter.keep, segmenter._predictor = source, None, Predictor(source)
    return segmenter


def draw_discs(side: int, cells: int, seed: int = 0) -> np.ndarray:
    """Draw discs that do not touch.

    Returns:
        uint8 (side, side).
    """
    rng = np.random.default_rng(seed)
    pitch = int(side / np.ceil(np.sqrt(cells)))
    slack = (pitch - 2 * RADIUS) // 2 - 1
    places = np.argwhere(np.ones((side // pitch, side // pitch), bool))[:cells]
    centres = places * pitch + pitch // 2 + rng.integers(-slack, slack + 1, (cells, 2))
    image = np.full((side, side), 60, np.uint8)
    for y, x in centres.tolist():
        cv2.circle(image, (x, y), RADIUS, (200,), -1)
    return image


def measure(args: argparse.Namespace) -> list[Row]:
    """Measure the peak of resident memory, and the time."""
    segmenter = disc_segmenter()
    segmenter(draw_discs(1_024, 400))  # a tile, with all that is made once
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'large.png'
        cv2.imwrite(str(path), draw_discs(SIDE, CELLS))

        def predict() -> None:
            found = len(segmenter(path))
            if found != CELLS:
                raise SystemExit(f'found {found} cells, expected {CELLS}')

        def predict_and_save() -> None:
            segmenter(path).save(folder)

        name = f'{SIDE:,} x {SIDE:,} pixels, {CELLS:,} cells'
        begin = time.perf_counter()
        peak = rss_peak(predict)
        seconds = time.perf_counter() - begin
        saving = rss_peak(predict_and_save)
    bar = judge(f'<= {MOST_MB:,} MB', max(peak, saving) <= MOST_MB)
    return [Row(f'{name}: peak of resident memory', None, peak, 'MB'),
            Row(f'{name}: the same with table, outlines and label image', None, saving, 'MB',
                bar=bar),
            Row(f'{name}: reading, tiles, seams, by the clock', None, seconds, 's')]


if __name__ == '__main__':
    raise SystemExit(run(measure, __doc__))

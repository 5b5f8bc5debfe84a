"""Mask targets of a dense image's RoIs: mmdet's from full-size bitmaps against ours from patches.

The RoIs are boxes of cells, jittered as proposals are, in the image of 520 x 704 pixels.
"""
import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from common import Row, compare, judge, rss_peak, run
from inputs import HEIGHT, WIDTH, DenseImage, dense_images
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.models.task_modules import AssignResult, SamplingResult
from mmdet.structures.mask import BaseInstanceMasks, BitmapMasks
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from mmsart.models import CroppedFCNMaskHead
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.rle import bitmap_to_kaggle, parse_rles
from mmsart.structures.mask.runs import run_boxes

JITTER = 3.0  # pixels, standard deviation of the RoIs' edges around a cell's


def measure(args: argparse.Namespace) -> list[Row]:
    """Compare time, memory and outputs on dense images and, the worst case, on large cells."""
    with tempfile.TemporaryDirectory() as folder:
        images = [*dense_images(Path(folder)), _large_cells()]
        return [row for image in images for num_rois in (128, 512)
                for row in _measure(image, num_rois, args.rounds)]


def _large_cells() -> DenseImage:
    """Draw 30 discs 180 pixels across, where RoIAlign takes 49 samples in each cell of a target."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    centres = rng.uniform(90, (HEIGHT - 90, WIDTH - 90), (30, 2))
    rles = [bitmap_to_kaggle(np.hypot(y - cy, x - cx) < 90) for cy, cx in centres]
    boxes = run_boxes(parse_rles(rles), WIDTH)[0]
    return DenseImage('30 cells of 180 pixels', '', rles, boxes)


def _measure(image: DenseImage, num_rois: int, rounds: int) -> list[Row]:
    ours = CroppedMasks.from_runs(parse_rles(image.rles), image.height, image.width)
    stock = BitmapMasks(ours.to_ndarray(), image.height, image.width)
    sampled = _sample_rois(image, num_rois)
    stock_way = partial(_targets, FCNMaskHead, stock, sampled, False)
    our_way = partial(_targets, CroppedFCNMaskHead, ours, sampled, False)
    soft_stock = _targets(FCNMaskHead, stock, sampled, True)
    soft_ours = _targets(CroppedFCNMaskHead, ours, sampled, True)
    what = f'{image.name}: targets of {num_rois} RoIs, CPU'
    time = compare(what, stock_way, our_way, rounds,
                   difference=(soft_stock - soft_ours).abs().max().item())
    if num_rois == 512 and image.path:
        time.bar = judge('>= 5 x', time.ratio is not None and time.ratio >= 5)
    peaks = rss_peak(stock_way), rss_peak(our_way)
    return [time, Row(f'{what}: peak of resident memory', *peaks, 'MB', peaks[0] / peaks[1])]


def _sample_rois(image: DenseImage, count: int) -> SamplingResult:
    """Draw RoIs around cells, inside the image."""
    rng = np.random.default_rng(0)
    cells = rng.integers(0, len(image.boxes), count)
    corners = image.boxes[cells] + rng.normal(0, JITTER, (count, 4))
    limit = np.array([image.width, image.height])
    low = np.minimum(corners[:, :2], corners[:, 2:]).clip(0, limit)
    high = np.maximum(corners[:, :2], corners[:, 2:]).clip(0, limit)
    rois = torch.from_numpy(np.concatenate([low, high], axis=1)).float()
    gt_inds = torch.from_numpy(cells)
    assigned = AssignResult(len(image.boxes), gt_inds + 1, torch.ones(count), gt_inds * 0)
    return SamplingResult(
        torch.arange(count), torch.zeros(0, dtype=torch.long), rois,
        torch.from_numpy(image.boxes).float(), assigned, torch.zeros(count, dtype=torch.uint8))


def _targets(
    head_class: type[FCNMaskHead], masks: BaseInstanceMasks, sampled: SamplingResult, soft: bool,
) -> torch.Tensor:
    head = head_class(num_convs=0, in_channels=1, conv_out_channels=1, num_classes=1)
    config = ConfigDict(mask_size=28, soft_mask_target=soft)
    return head.get_targets([sampled], [InstanceData(masks=masks)], config)


if __name__ == '__main__':
    raise SystemExit(run(measure, __doc__))

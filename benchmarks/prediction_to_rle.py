"""From the mask head's output for 800 detections to run-length codes: mmdet's way against ours.

mmdet pastes each mask into a bitmap of 520 x 704 pixels and encodes the stack; ours pastes each
into its own box and encodes that. The soft masks are those of the image's own cells.
"""
import argparse
import copy
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Row, compare, judge, rss_peak, run
from inputs import DenseImage, dense_images
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.structures.mask import encode_mask_results
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from mmsart.models import CroppedFCNMaskHead
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.rle import parse_rles
from mmsart.structures.mask.roi_targets import roi_targets

DETECTIONS = 800
INPUT_SIZE = 512  # pixels, the side of the network's square input


def measure(args: argparse.Namespace) -> list[Row]:
    """Compare time, memory and outputs on each dense image."""
    with tempfile.TemporaryDirectory() as folder:
        return [row for image in dense_images(Path(folder)) for row in _measure(image, args.rounds)]


def _measure(image: DenseImage, rounds: int) -> list[Row]:
    logits, results, meta = _head_output(image)
    stock = partial(_stock_rles, logits, results, meta)
    ours = partial(_our_rles, logits, results, meta)
    what = f'{image.name}: {DETECTIONS} predictions to RLE, CPU'
    time = compare(what, stock, ours, rounds, difference=_difference(stock(), ours()))
    time.bar = judge('>= 10 x', time.ratio is not None and time.ratio >= 10)
    paste = compare(
        f'{image.name}: of this, soft masks to masks',
        partial(_predict, FCNMaskHead, logits, results, meta),
        partial(_predict, CroppedFCNMaskHead, logits, results, meta), rounds)
    peaks = rss_peak(stock), rss_peak(ours)
    return [time, paste,
            Row(f'{what}: peak of resident memory', *peaks, 'MB', peaks[0] / peaks[1])]


def _head_output(image: DenseImage) -> tuple[torch.Tensor, InstanceData, dict]:
    """Make detections of the image's cells: logits of their soft masks, boxes, labels."""
    rng = np.random.default_rng(0)
    masks = CroppedMasks.from_runs(parse_rles(image.rles), image.height, image.width)
    cells = torch.from_numpy(rng.permutation(DETECTIONS) % len(masks))
    boxes = torch.from_numpy(image.boxes).float()[cells]
    boxes = boxes + torch.from_numpy(rng.normal(0, 1.0, boxes.shape)).float()
    boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 2)
    logits = roi_targets(masks, boxes, cells, (28, 28)) * 6 - 3
    logits = logits + torch.from_numpy(rng.normal(0, 0.5, logits.shape)).float()
    scale = (INPUT_SIZE / image.width, INPUT_SIZE / image.height)
    results = InstanceData(
        bboxes=boxes * torch.tensor(scale).repeat(2), labels=torch.arange(DETECTIONS) % 3)
    meta = dict(ori_shape=(image.height, image.width), scale_factor=scale)
    return logits[:, None].repeat(1, 3, 1, 1), results, meta


def _predict(
    head_class: type[FCNMaskHead], logits: torch.Tensor, results: InstanceData, meta: dict,
) -> Any:
    head = head_class(num_convs=0, in_channels=1, conv_out_channels=1, num_classes=3)
    config = ConfigDict(mask_thr_binary=0.5)
    found = head.predict_by_feat([logits], [copy.deepcopy(results)], [meta], config, rescale=True)
    return found[0].masks


def _stock_rles(logits: torch.Tensor, results: InstanceData, meta: dict) -> list[dict]:
    masks = _predict(FCNMaskHead, logits, results, meta)
    return encode_mask_results(masks.numpy())


def _our_rles(logits: torch.Tensor, results: InstanceData, meta: dict) -> list[dict]:
    return _predict(CroppedFCNMaskHead, logits, results, meta).to_rles()


def _difference(stock: list[dict], ours: list[dict]) -> float:
    """Tell whether any pixel differs; ours are codes of the transposed image."""
    return float(any(
        (coco_mask.decode(a) != coco_mask.decode(b).T).any()
        for a, b in zip(stock, ours, strict=True)))


if __name__ == '__main__':
    raise SystemExit(run(measure, __doc__))

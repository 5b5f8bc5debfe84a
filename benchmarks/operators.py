"""mmcv's operators on the CPU: compiled against those in Python, which stand in where none are.

Where mmcv is not compiled, the operators in Python are timed alone.
"""
import argparse
import importlib
from collections.abc import Callable
from functools import partial
from types import ModuleType

import torch
from common import Row, compare, run, time_alone
from torch import Tensor

from mmsart.ops import EXTENSION, are_compiled, stand_in

IMAGES, SIDE, STRIDE = 2, 512, 4  # of the maps that RoIAlign pools


def measure(args: argparse.Namespace) -> list[Row]:
    """Time NMS of 1,000 to 10,000 boxes, soft NMS, and RoIAlign forwards and backwards."""
    return [
        *(_row(f'nms, {count:,} boxes', partial(_nms, count), args.rounds)
          for count in (1000, 4000, 10_000)),
        _row('softnms, 1,000 boxes', partial(_softnms, 1000), args.rounds),
        *(_row(f'RoIAlign, 512 RoIs, {channels} channels, {bins} x {bins} bins, '
               f'{f"{ratio**2} samples" if ratio else "a sample per pixel"}: {direction}',
               partial(_roi_align, channels, bins, ratio, direction), args.rounds)
          for channels, bins, ratio in ((256, 7, 0), (256, 7, 2), (256, 14, 2), (64, 14, 2))
          for direction in ('features', 'gradients'))]


def _row(what: str, prepare: Callable[[ModuleType], Callable[[], Tensor]], rounds: int) -> Row:
    """Compare a call of the compiled extension with that of the module in Python."""
    ours = prepare(stand_in)
    if not are_compiled():
        return time_alone(what, ours, rounds)
    stock = prepare(importlib.import_module(EXTENSION))
    one, other = stock(), ours()
    difference = float((one - other).abs().max()) if one.shape == other.shape else float('inf')
    return compare(what, stock, ours, rounds, difference=difference)


def _boxes(count: int, largest: float) -> tuple[Tensor, Tensor]:
    """Draw boxes of cells in an image of 512 x 512 pixels, and their scores."""
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(count, 2, generator=generator) * SIDE
    side = 8 + torch.rand(count, 2, generator=generator) * (largest - 8)
    return torch.cat([corner, corner + side], dim=1), torch.rand(count, generator=generator)


def _nms(count: int, operators: ModuleType) -> Callable[[], Tensor]:
    boxes, scores = _boxes(count, 60)
    return partial(operators.nms, boxes, scores, iou_threshold=0.7, offset=0)


def _softnms(count: int, operators: ModuleType) -> Callable[[], Tensor]:
    boxes, scores = _boxes(count, 60)
    return partial(operators.softnms, boxes, scores, torch.zeros(count, 5), iou_threshold=0.3,
                   sigma=0.5, min_score=1e-3, method=1, offset=0)


def _roi_align(channels: int, bins: int, ratio: int, direction: str,
               operators: ModuleType) -> Callable[[], Tensor]:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(IMAGES, channels, SIDE // STRIDE, SIDE // STRIDE, generator=generator)
    boxes, _ = _boxes(512, 60)
    image = torch.randint(0, IMAGES, (len(boxes), 1), generator=generator)
    rois = torch.cat([image, boxes], dim=1)
    pooled = torch.randn(len(rois), channels, bins, bins, generator=generator)
    unused = maps.new_zeros(0)
    kinds = dict(aligned_height=bins, aligned_width=bins, spatial_scale=1 / STRIDE,
                 sampling_ratio=ratio, pool_mode=1, aligned=True)

    def features() -> Tensor:
        output = torch.zeros_like(pooled)
        operators.roi_align_forward(maps, rois, output, unused, unused, **kinds)
        return output

    def gradients() -> Tensor:
        total = torch.zeros_like(maps)
        operators.roi_align_backward(pooled, rois, unused, unused, total, **kinds)
        return total
    return features if direction == 'features' else gradients


if __name__ == '__main__':
    raise SystemExit(run(measure, __doc__))

"""One training iteration on a dense image on the CPU: mmdet's masks and assigners against ours.

The network is small (ResNet-18, 32 channels in pyramid and heads), for on a CPU a large one hides
everything else; benchmarks/cuda_report.py trains the real one on a GPU.
"""
import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from common import Row, compare, rss_peak, run
from dense_training import DenseDataset, build_detector, build_optimizer
from inputs import DenseImage, dense_images
from mmdet.models.task_modules import AssignResult, MaxIoUAssigner
from mmdet.utils import register_all_modules
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData

from mmsart.models import DenseMaxIoUAssigner

SIZE = 512  # pixels
ASSIGNER = dict(pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3, match_low_quality=True)
LOSS_ITERATIONS = 5
MAX_ROUNDS = 3  # an iteration with mmdet's parts takes seconds


def measure(args: argparse.Namespace) -> list[Row]:
    """Compare time, memory and losses on each dense image."""
    register_all_modules(init_default_scope=True)
    rounds = min(args.rounds, MAX_ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        return [row for image in dense_images(Path(folder)) for row in _measure(image, rounds)]


def _measure(image: DenseImage, rounds: int) -> list[Row]:
    stock, ours = _Training(image, False), _Training(image, True)
    losses = [[training.step(index) for index in range(LOSS_ITERATIONS)]
              for training in (stock, ours)]
    difference = max(abs(a[key] - b[key]) for a, b in zip(*losses, strict=True) for key in a)
    what = f'{image.name}: training iteration at {SIZE}², small network, CPU'
    peaks = rss_peak(partial(stock.step, 0)), rss_peak(partial(ours.step, 0))
    return [
        _assignment(image, rounds),
        compare(f'{what}, data ready', stock.train, ours.train, rounds),
        compare(f'{what}, with loading', partial(stock.step, 0), partial(ours.step, 0), rounds,
                difference=difference),
        Row(f'{what}: peak of resident memory', *peaks, 'MB', peaks[0] / peaks[1])]


class _Training:
    """A detector, its optimizer and its data."""

    def __init__(self, image: DenseImage, ours: bool) -> None:
        self.dataset = DenseDataset(image, ours, SIZE, length=LOSS_ITERATIONS)
        self.detector = build_detector(ours, depth=18, channels=32, device='cpu')
        self.optimizer = build_optimizer(self.detector)
        self.batch = pseudo_collate([self.dataset[0]])

    def train(self) -> dict[str, float]:
        """Take one step on the loaded batch; the samplers draw the same each time."""
        torch.manual_seed(0)
        return {key: value.item() for key, value
                in self.detector.train_step(self.batch, self.optimizer).items()}

    def step(self, index: int) -> dict[str, float]:
        """Load an item and take one step on it."""
        self.batch = pseudo_collate([self.dataset[index]])
        return self.train()


def _assignment(image: DenseImage, rounds: int) -> Row:
    """Compare the assignment of all anchors to the cells."""
    detector = build_detector(False, depth=18, channels=32, device='cpu')
    levels = [(SIZE // stride, SIZE // stride) for stride in (4, 8, 16, 32, 64)]
    priors = torch.cat(detector.rpn_head.prior_generator.grid_priors(levels, device='cpu'))
    sample = DenseDataset(image, True, SIZE, length=1)[0]['data_samples']
    cells = InstanceData(
        bboxes=sample.gt_instances.bboxes.tensor, labels=sample.gt_instances.labels)
    stock, ours = (_bind(assigner(**ASSIGNER), InstanceData(priors=priors), cells)
                   for assigner in (MaxIoUAssigner, DenseMaxIoUAssigner))
    return compare(f'{image.name}: assign {len(priors)} anchors, CPU', stock, ours, rounds,
                   difference=float((stock().gt_inds - ours().gt_inds).abs().max()))


def _bind(
    assigner: MaxIoUAssigner, priors: InstanceData, cells: InstanceData,
) -> Callable[[], AssignResult]:
    return lambda: assigner.assign(priors, cells)


if __name__ == '__main__':
    raise SystemExit(run(measure, __doc__))

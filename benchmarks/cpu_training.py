"""Training the laptop model: RoIAlign of mmcv and float32 against ours and bfloat16.

Four generated crops of 256 x 256, the network of configs/sartorius/maskrcnn_lite_cpu.py. The
largest differences are of features and of losses; with bfloat16 losses differ in the third digit.
"""
import argparse
import copy
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import torch
from common import Row, compare, run
from mmdet.models.detectors import MaskRCNN
from mmdet.registry import DATASETS, MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch import Tensor

import mmsart.registration  # noqa: F401
from mmsart.engine.hooks import CpuTrainingHook

CONFIGS = Path(__file__).parent.parent / 'configs'
CROPS, SIDE, CHANNELS = 4, 256, 64
STRIDES = (2, 4, 8, 16)


def measure(args: argparse.Namespace) -> list[Row]:
    """Compare the pooling of RoI features alone, then whole iterations."""
    register_all_modules(init_default_scope=True)
    rows = [row for count, size, ratio in ((1024, 7, 1), (256, 14, 2))
            for row in _measure_pooling(count, size, ratio, args.rounds)]
    return [*rows, *_measure_iterations(args.rounds)]


def _measure_pooling(count: int, size: int, ratio: int, rounds: int) -> list[Row]:
    torch.manual_seed(0)
    maps = [torch.randn(CROPS, CHANNELS, SIDE // stride, SIDE // stride).requires_grad_()
            for stride in STRIDES]
    corner, side = torch.rand(count, 2) * 240, torch.rand(count, 2) * 40 + 8
    rois = torch.cat([torch.randint(0, CROPS, (count, 1)).float(), corner, corner + side], dim=1)
    stock, ours = (
        MODELS.build(dict(
            type=name, out_channels=CHANNELS, featmap_strides=STRIDES, finest_scale=28,
            roi_layer=dict(type='RoIAlign', output_size=size, sampling_ratio=ratio)))
        for name in ('SingleRoIExtractor', 'BagRoIExtractor'))
    weights = torch.randn(count, CHANNELS, size, size)

    def gradients(extractor: Callable[..., Tensor]) -> tuple[Tensor, ...]:
        return torch.autograd.grad((extractor(maps, rois) * weights).sum(), maps)

    what = f'{count} RoIs, {size} x {size} bins of {ratio**2} samples'
    with torch.no_grad():
        forward = compare(
            f'{what}: features', partial(stock, maps, rois), partial(ours, maps, rois), rounds,
            difference=float((stock(maps, rois) - ours(maps, rois)).abs().max()))
    both = [gradients(extractor) for extractor in (stock, ours)]
    return [forward, compare(
        f'{what}: features and gradients', partial(gradients, stock), partial(gradients, ours),
        rounds, difference=max(
            float((one - other).abs().max()) for one, other in zip(*both, strict=True)))]


def _measure_iterations(rounds: int) -> list[Row]:
    config = Config.fromfile(str(CONFIGS / 'sartorius/maskrcnn_lite_cpu.py'))
    data = Config.fromfile(str(CONFIGS / '_base_/datasets/synthetic_pretrain.py'))
    dataset = DATASETS.build(data.train_dataloader.dataset)
    batch = pseudo_collate([dataset[index] for index in range(CROPS)])
    torch.manual_seed(0)
    bags = MODELS.build(config.model)
    for extractor in ('bbox_roi_extractor', 'mask_roi_extractor'):
        config.model.roi_head[extractor].type = 'SingleRoIExtractor'
    stock = MODELS.build(config.model)
    stock.load_state_dict(bags.state_dict())
    fast = copy.deepcopy(bags)
    for model in (stock, bags, fast):
        model.train()
    CpuTrainingHook().before_train(SimpleNamespace(model=fast, logger=logging.getLogger()))
    return [
        compare(f'iteration of {CROPS} crops: {name}', partial(_step, stock, batch),
                partial(_step, model, batch), rounds,
                difference=abs(_step(stock, batch) - _step(model, batch)))
        for name, model in (('BagRoIExtractor', bags),
                            ('BagRoIExtractor and CpuTrainingHook', fast))]


def _step(model: MaskRCNN, batch: dict) -> float:
    """Go forwards and backwards; the samplers draw the same each time."""
    torch.manual_seed(0)
    model.zero_grad()
    loss = model.parse_losses(model(**model.data_preprocessor(batch, True), mode='loss'))[0]
    loss.backward()
    return loss.item()


if __name__ == '__main__':
    raise SystemExit(run(measure, __doc__))

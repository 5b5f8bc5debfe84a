"""Leaf configs in miniature: the same types and the same structure, a few thousand weights."""
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from mmsart.apis.config import load_config

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / 'configs'
WIDE = {  # what counts channels in the configs of mmdet's detectors
    'out_channels', 'feat_channels', 'conv_out_channels', 'fc_out_channels', 'fc_channels'}
NARROW = 8
SIZE = 96
CAPS = {'nms_pre': 150, 'max_per_img': 40}


def small_config(name: str, *options: str, work_dir: str | None = None) -> Config:
    """Read a leaf of ``configs/`` and shrink its network, images, batches and schedule."""
    cfg = load_config(str(CONFIGS / name), [
        'load_from=None', 'log_level=WARNING', 'train_dataloader.batch_size=2',
        'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0', *options], work_dir)
    shrink_model(cfg.model)
    for pipeline in (cfg.train_dataloader.dataset.pipeline, cfg.val_loss_pipeline,
                     cfg.val_dataloader.dataset.pipeline, cfg.test_dataloader.dataset.pipeline):
        for step in pipeline:
            if step['type'] == 'RandomCrop':
                step['crop_size'] = (SIZE, SIZE)
            elif step['type'] == 'Resize':
                step.pop('scale_factor', None)
                step['scale'] = (SIZE, SIZE)
    return cfg


def shrink_model(model: ConfigDict) -> None:
    """Shrink a detector's config in place."""
    backbone = model.backbone
    expansion = 4
    if backbone.type in ('ResNet', 'FineResNet'):
        backbone.update(depth=18, base_channels=NARROW)
        expansion = 1
    elif backbone.type == 'ResNeXt':
        backbone.update(depth=50, base_channels=NARROW, groups=2, base_width=4)
    widths = [NARROW * expansion * 2 ** level for level in range(4)]
    for key, part in model.items():
        if isinstance(part, dict) and key != 'backbone':
            _narrow(part, widths)
    model.train_cfg = _with_small_numbers(model.get('train_cfg'))
    model.test_cfg = _with_small_numbers(model.get('test_cfg'))


def _narrow(node: Any, widths: list[int]) -> None:
    """Replace the numbers of channels, those of the backbone's maps by `widths`."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, dict | list) and key != 'in_channels':
            _narrow(value, widths)
        elif key == 'in_channels':
            node[key] = widths if isinstance(value, list | tuple) else NARROW
        elif key in WIDE and isinstance(value, int):
            node[key] = NARROW


def _with_small_numbers(node: Any) -> Any:
    if isinstance(node, list | tuple):
        return [_with_small_numbers(each) for each in node]
    if not isinstance(node, dict):
        return node
    return ConfigDict({
        key: min(value, CAPS[key]) if key in CAPS else
        {**value, 'num': min(value['num'], 32)} if key == 'sampler' and 'num' in value else
        _with_small_numbers(value) for key, value in node.items()})

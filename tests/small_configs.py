"""Leaf configs in miniature: the same types and the same structure, a few thousand weights."""
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from mmsart.apis.config import load_config

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / 'configs'
NARROW = 8
SMALL = {  # numbers of channels and the like in the configs of mmdet's detectors
    **dict.fromkeys((
        'out_channels', 'feat_channels', 'conv_out_channels', 'fc_out_channels', 'fc_channels',
        'proposal_feature_channel', 'feedforward_channels', 'hidden_channels', 'embed_dims'),
        NARROW),
    'num_feats': NARROW // 2, 'num_groups': 2, 'num_heads': 2, 'num_queries': 40,
    'num_proposals': 40, 'num_layers': 2}
SIZE = 96
TILE = (56, 60)
CAPS = {'nms_pre': 150, 'max_per_img': 40, 'max_per_image': 40, 'num_points': 300}


def small_config(name: str, *options: str, work_dir: str | None = None) -> Config:
    """Read a leaf of ``configs/`` and shrink its network, images, batches and schedule."""
    cfg = load_config(str(CONFIGS / name), [
        'load_from=None', 'log_level=WARNING', 'train_dataloader.batch_size=2',
        'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0', *options], work_dir)
    shrink_model(cfg.model)
    train = cfg.train_dataloader
    while 'pipeline' not in train.dataset:  # neither repetitions nor further data
        inner = train.dataset.get('datasets') or [train.dataset.dataset]
        train.dataset = inner[0]
    for pipeline in (train.dataset.pipeline, cfg.val_loss_pipeline,
                     cfg.val_dataloader.dataset.pipeline, cfg.test_dataloader.dataset.pipeline):
        for step in pipeline:
            if step['type'] == 'RandomCrop':
                step['crop_size'] = (SIZE, SIZE)
            elif step['type'] == 'Resize' and step.get('scale_factor') != 1.0:
                step.pop('scale_factor', None)
                step['scale'] = (SIZE, SIZE)
            elif step['type'] == 'RandomTile':
                step['tile_size'] = TILE
            elif step['type'] == 'RandomResize' and isinstance(step['scale'], list):
                step['scale'] = [(SIZE // 2, SIZE // 2), (SIZE, SIZE)]
    return cfg


def shrink_model(model: ConfigDict) -> None:
    """Shrink a detector's config in place."""
    if 'tile_size' in model:
        model.update(tile_size=TILE, tile_counts=(2, 2), tile_scale=(SIZE, SIZE))
    backbone = model.backbone
    expansion = 4
    if backbone.type in ('ResNet', 'FineResNet'):
        backbone.update(depth=18, base_channels=NARROW)
        expansion = 1
    elif backbone.type == 'ResNeXt':
        backbone.update(depth=50, base_channels=NARROW, groups=2, base_width=4)
    elif backbone.type == 'Res2Net':
        backbone.update(depth=50, base_channels=NARROW, stem_channels=NARROW, base_width=4)
    elif backbone.type == 'CSPNeXt':
        backbone.update(widen_factor=NARROW / 256)
        expansion = 1
    widths = [NARROW * expansion * 2 ** level for level in range(4)]
    if 'Lite' in backbone.type:  # small as they are
        backbone.init_cfg = None
        widths = list(model.neck.in_channels)
    if 'mask_head' in model:  # SOLOv2's has groups of its own
        model.mask_head.norm_cfg = dict(type='GN', num_groups=2)
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
            node[key] = widths[:len(value)] if isinstance(value, list | tuple) else NARROW
        elif key in SMALL and isinstance(value, int):
            node[key] = SMALL[key]


def _with_small_numbers(node: Any) -> Any:
    if isinstance(node, list | tuple):
        return [_with_small_numbers(each) for each in node]
    if not isinstance(node, dict):
        return node
    return ConfigDict({
        key: min(value, CAPS[key]) if key in CAPS else
        {**value, 'num': min(value['num'], 32)} if key == 'sampler' and 'num' in value else
        _with_small_numbers(value) for key, value in node.items()})

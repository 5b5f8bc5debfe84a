"""A Mask R-CNN of 16 channels on images of discs, through the project's own bases."""
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from mmsart.structures.mask.rle import runs_to_text

ROOT = Path(__file__).parents[2]

CONFIG = """
_base_ = [{bases}]
model = dict(
    backbone=dict(depth=18, base_channels=8, norm_eval=False),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16,
                  anchor_generator=dict(scales=[4])),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, fc_out_channels=32),
        mask_roi_extractor=dict(out_channels=16),
        mask_head=dict(num_convs=1, in_channels=16, conv_out_channels=16)),
    train_cfg=dict(rpn_proposal=dict(nms_pre=50, max_per_img=50),
                   rcnn=dict(sampler=dict(num=32))),
    test_cfg=dict(rpn=dict(nms_pre=50, max_per_img=50), rcnn=dict(max_per_img=20)))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadCroppedAnnotations'),
    dict(type='Resize', scale=(64, 64), keep_ratio=False),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PackDetInputs', meta_keys={{{{_base_.meta_keys}}}})]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(64, 64), keep_ratio=False),
    dict(type='PackDetInputs', meta_keys={{{{_base_.test_meta_keys}}}})]
data_root = {data!r}
split = dict(type='holdout', val_fraction=0.5, seed=0)
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False, pin_memory=False,
    dataset=dict(data_root=data_root, split=split, pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=0, persistent_workers=False, pin_memory=False,
    dataset=dict(data_root=data_root, split=split, pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(
    type='StagedTrainLoop',
    stages=[
        dict(name='heads', max_epochs=1, trainable=['roi_head'],
             optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-2, momentum=0.9)),
             param_scheduler=[dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=2)]),
        dict(name='all', max_epochs=2,
             optim_wrapper=dict(
                 optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-4),
                 paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
                 clip_grad=dict(max_norm=10)))])
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
custom_hooks = []
randomness = dict(seed=3, deterministic=True)
"""


def write_data(folder, images=8, size=72):
    """Write images of discs and their train.csv in the competition's layout."""
    (folder / 'train').mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    ys, xs = np.mgrid[:size, :size]
    for number in range(images):
        image = rng.normal(120, 5, (size, size))
        cell_type = ('shsy5y', 'astro', 'cort')[number % 3]
        for cell in range(6):
            y, x = 12 + 24 * (cell // 3) + rng.integers(12), 12 + 20 * (cell % 3)
            mask = (ys - y) ** 2 + (xs - x) ** 2 < rng.integers(4, 9) ** 2
            image[mask] += 60
            edges = np.flatnonzero(np.diff(np.r_[0, mask.ravel(), 0].astype(np.int8)))
            rows.append(dict(
                id=f'image{number}', annotation=runs_to_text(edges[::2], np.diff(edges)[::2]),
                width=size, height=size, cell_type=cell_type, plate_time='', sample_date='',
                sample_id=f'{cell_type}{number}', elapsed_timedelta=''))
        cv2.imwrite(str(folder / 'train' / f'image{number}.png'), image.clip(0, 255))
    pd.DataFrame(rows).to_csv(folder / 'train.csv', index=False)


def write_config(folder):
    """Write data and config below a folder and return the config's path."""
    write_data(folder / 'data')
    bases = ', '.join(repr(str(ROOT / 'configs' / '_base_' / name)) for name in (
        'models/mask-rcnn_r50_fpn.py', 'datasets/sartorius_instance.py', 'default_runtime.py'))
    path = folder / 'tiny_two_stage.py'
    path.write_text(CONFIG.format(bases=bases, data=str(folder / 'data') + '/'))
    return path

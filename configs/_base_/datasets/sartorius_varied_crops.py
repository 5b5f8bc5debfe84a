"""Crops of 448 x 448 with turns, jitter of scale, brightness and contrast, and repaired masks.

Annotations in train_extra.csv, if that file lies beside train.csv, are for training too.
"""
import os.path

_base_ = './sartorius_crops.py'

train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(type='RepairMasks', max_inside=0.8),
    dict(type='RandomScale', ratio_range=(0.8, 1.25)),
    dict(type='WeightedRandomCrop', crop_size=(448, 448), recompute_bbox=True),
    *_base_.train_pipeline[3:-1],
    dict(type='RandomTranspose'),
    dict(type='RandomBrightnessContrast', brightness=0.2, contrast=0.2),
    _base_.train_pipeline[-1],
]
dataset = {**_base_.train_dataloader.dataset, 'pipeline': train_pipeline}
extra = {**dataset, 'ann_file': 'train_extra.csv', 'subset': 'all'}
has_extra = os.path.exists(os.path.join(_base_.data_root, 'train_extra.csv'))
train_dataloader = dict(dataset=dict(
    _delete_=True, type='ConcatDataset', datasets=[dataset, extra] if has_extra else [dataset]))

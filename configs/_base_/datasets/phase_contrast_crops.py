"""Crops of phase-contrast images of other cells and microscopes, one class, for pre-training.

PHASE_CONTRAST_ROOT names a folder with annotations.json (COCO) and images/. The validation looks at
every tenth of the training's own images: it shows that a run learns, and no more than that.
"""
import os

_base_ = './sartorius_crops.py'

data_root = os.environ.get('PHASE_CONTRAST_ROOT') or 'data/phase_contrast/'
dataset = dict(
    type='CheckedCocoDataset', data_root=data_root, ann_file='annotations.json',
    data_prefix=dict(img='images/'), metainfo=dict(classes=('cell',)))
train_pipeline = [
    dict(type='LoadCachedImage'),
    dict(type='LoadCroppedAnnotations'),
    dict(type='RandomCellScale', diameter=(14, 40)),
    dict(type='WeightedRandomCrop', crop_size=(448, 448), recompute_bbox=True),
    *_base_.train_pipeline[3:-1],
    dict(type='RandomTranspose'),
    dict(type='RandomBrightnessContrast', brightness=0.2, contrast=0.2),
    _base_.train_pipeline[-1],
]
train_dataloader = dict(dataset=dict(
    _delete_=True, **dataset, filter_cfg=dict(filter_empty_gt=True), pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(
    _delete_=True, **dataset, indices=list(range(0, 120, 10)), test_mode=True,
    pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader

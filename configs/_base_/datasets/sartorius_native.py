"""The competition's images, whole and at native resolution, with flips.

Four of five fields of view are for training, the fifth for validation.
"""
import os

dataset_type = 'SartoriusDataset'
# Not mmengine's {{$NAME:default}}, which pastes the path into this text: a quote would end it.
data_root = os.environ.get('SARTORIUS_ROOT') or 'data/sartorius/'
split = dict(type='holdout', val_fraction=0.2, seed=0)
meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip',
             'flip_direction')
# The metric takes the truth from here, so that it never passes through a resize.
test_meta_keys = (*meta_keys, 'instances', 'cell_type', 'sample_id')

train_pipeline = [
    dict(type='LoadCachedImage'),
    dict(type='LoadCroppedAnnotations'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PackDetInputs', meta_keys=meta_keys),
]
test_pipeline = [
    dict(type='LoadCachedImage'),
    dict(type='Resize', scale_factor=1.0),  # native resolution, noted for the masks
    dict(type='PackDetInputs', meta_keys=test_meta_keys),
]
# The validation images as training would see them, for the loss on them.
val_loss_pipeline = [
    dict(type='LoadCachedImage'),
    dict(type='LoadCroppedAnnotations'),
    dict(type='PackDetInputs', meta_keys=meta_keys),
]

train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type=dataset_type, data_root=data_root, ann_file='train.csv',
        data_prefix=dict(img='train/'), subset='train', split=split, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type, data_root=data_root, ann_file='train.csv',
        data_prefix=dict(img='train/'), subset='val', split=split, test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader

# One post-processing for validation, test and submission, and the one place of its thresholds:
# safe values to watch a training with, until a leaf has those of the tuner.
postprocess = dict(score_thr=0.3, remove_overlap=True)
val_evaluator = dict(type='SartoriusMetric', postprocess=postprocess)
test_evaluator = val_evaluator

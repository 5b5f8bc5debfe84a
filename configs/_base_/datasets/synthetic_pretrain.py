"""Endless generated crops for training; validation and test stay the competition's images.

Stands in the place of sartorius_instance.py. An epoch is a million images: give the schedule in
iterations. No image is seen twice.
"""
_base_ = 'sartorius_instance.py'

train_pipeline = [
    dict(type='LoadImageFromNDArray'),
    dict(type='LoadSartoriusAnnotations'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PackDetInputs', meta_keys=_base_.meta_keys),
]
train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=False),
    dataset=dict(
        _delete_=True, type='SyntheticDataset', size=(256, 256), seed=0, pipeline=train_pipeline))

"""Endless generated crops for training; validation and test are the competition's whole images.

Stands in the place of sartorius_crops.py. An epoch is a million images: give the schedule in
iterations, and checkpoints too (default_hooks.checkpoint: by_epoch=False and an interval). No image
is seen twice.
"""
_base_ = './sartorius_native.py'

train_pipeline = [dict(type='LoadImageFromNDArray'), *_base_.train_pipeline[1:]]
train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=False),
    dataset=dict(
        _delete_=True, type='SyntheticDataset', size=(256, 256), seed=0, pipeline=train_pipeline))

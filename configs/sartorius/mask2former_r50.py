"""Mask2Former R50 (Cheng et al., CVPR 2022) on crops at twice the size.

python tools/train.py configs/sartorius/mask2former_r50.py

Not trained yet.
"""
_base_ = [
    '../_base_/models/mask2former_r50.py',
    '../_base_/datasets/sartorius_double_crops.py',
    '../_base_/schedules/crops_adamw.py',
    '../_base_/default_runtime.py',
]

# Its authors' rates for queries and attention.
stage = _base_.train_cfg.stages[0]
train_cfg = dict(stages=[{**stage, 'optim_wrapper': dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
    clip_grad=dict(max_norm=0.01))}])

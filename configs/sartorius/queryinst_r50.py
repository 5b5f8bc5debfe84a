"""QueryInst R50-FPN (Fang et al., ICCV 2021) on crops at twice the size.

python tools/train.py configs/sartorius/queryinst_r50.py

Not trained yet.
"""
_base_ = [
    '../_base_/models/queryinst_r50_fpn.py',
    '../_base_/datasets/sartorius_double_crops.py',
    '../_base_/schedules/crops_adamw.py',
    '../_base_/default_runtime.py',
]

# Its authors' rates for queries and attention.
stage = _base_.train_cfg.stages[0]
train_cfg = dict(stages=[{**stage, 'optim_wrapper': dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
    clip_grad=dict(max_norm=0.1))}])

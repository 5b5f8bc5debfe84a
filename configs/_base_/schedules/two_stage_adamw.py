"""Ten epochs of new heads by SGD, then ten of everything by AdamW: the report's third experiment.

Epochs of 243 iterations (see the first stage): 2,430 in each stage.
"""
_base_ = './stage_heads.py'

everything = dict(
    name='all',
    max_epochs=10,  # the report gives no number
    optim_wrapper=dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-4),
        paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),  # 1e-5
        clip_grad=dict(max_norm=10)))
train_cfg = dict(type='StagedTrainLoop', stages=[_base_.heads, everything])

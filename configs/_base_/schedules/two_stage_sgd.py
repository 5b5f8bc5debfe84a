"""Ten epochs of new heads, then eight of everything, both by SGD: the report's fourth experiment.

Epochs of 243 iterations (see the first stage). The second stage has lr 1e-3 in its epochs 1-3,
1e-4 in 4-6, 1e-5 in 7-8.
"""
_base_ = './stage_heads.py'

everything = dict(
    name='all',
    max_epochs=8,
    optim_wrapper=dict(
        type='OptimWrapper',
        optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=5e-4)),
    param_scheduler=[dict(type='StepLR', step_size=3, gamma=0.1, by_epoch=True)])
train_cfg = dict(type='StagedTrainLoop', stages=[_base_.heads, everything])

"""An epoch of the predictors, then 8 of everything; 96 images are 24 iterations per epoch."""
_base_ = './demo_two_stage.py'

train_cfg = dict(val_interval=4, stages=[
    {**_base_.train_cfg.stages[0], 'max_epochs': 1},
    {**_base_.train_cfg.stages[1], 'max_epochs': 8, 'optim_wrapper': {
        **_base_.train_cfg.stages[1].optim_wrapper,
        'optimizer': dict(type='AdamW', lr=2e-3, weight_decay=0.01)}}])

"""sartorius_native.py at twice the size, whole images, for grids that are laid over an image."""
_base_ = './sartorius_native.py'

train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(type='Resize', scale_factor=2.0),
    *_base_.train_pipeline[2:],
]
test_pipeline = [
    _base_.test_pipeline[0],
    dict(type='Resize', scale_factor=2.0),
    _base_.test_pipeline[-1],
]
val_loss_pipeline = [
    *_base_.val_loss_pipeline[:2],
    dict(type='Resize', scale_factor=2.0),
    _base_.val_loss_pipeline[-1],
]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

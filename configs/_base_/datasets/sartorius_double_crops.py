"""sartorius_crops.py shown at twice the size, for detectors whose finest stride is 4.

The median cell is 20 pixels wide, five pixels of such a map. Crops of 256 x 256 pixels of the
original become images of 512 x 512, whole images ones of 1040 x 1408.
"""
_base_ = './sartorius_crops.py'

train_pipeline = [
    *_base_.train_pipeline[:4],
    dict(type='Resize', scale=(512, 512), keep_ratio=False),
    *_base_.train_pipeline[4:],
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
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

"""The competition's images at 512 x 512 with flips, as in the report."""
_base_ = './sartorius_native.py'

train_pipeline = [
    dict(type='LoadCachedImage'),
    dict(type='LoadCroppedAnnotations'),
    dict(type='Resize', scale=(512, 512), keep_ratio=False),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PackDetInputs', meta_keys={{_base_.meta_keys}}),
]
test_pipeline = [
    dict(type='LoadCachedImage'),
    dict(type='Resize', scale=(512, 512), keep_ratio=False),
    dict(type='PackDetInputs', meta_keys={{_base_.test_meta_keys}}),
]
val_loss_pipeline = [
    dict(type='LoadCachedImage'),
    dict(type='LoadCroppedAnnotations'),
    dict(type='Resize', scale=(512, 512), keep_ratio=False),
    dict(type='PackDetInputs', meta_keys={{_base_.meta_keys}}),
]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

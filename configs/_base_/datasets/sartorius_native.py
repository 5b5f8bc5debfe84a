"""Images at native resolution, whole, with flips."""
_base_ = './sartorius_instance.py'

train_pipeline = [
    dict(type='LoadCachedImage'),
    dict(type='LoadCroppedAnnotations'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PackDetInputs', meta_keys={{_base_.meta_keys}}),
]
test_pipeline = [
    dict(type='LoadCachedImage'),
    dict(type='Resize', scale_factor=1.0),  # native resolution, noted for the masks
    dict(type='PackDetInputs', meta_keys={{_base_.test_meta_keys}}),
]
val_loss_pipeline = [
    dict(type='LoadCachedImage'),
    dict(type='LoadCroppedAnnotations'),
    dict(type='PackDetInputs', meta_keys={{_base_.meta_keys}}),
]
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

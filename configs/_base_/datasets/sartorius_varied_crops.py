"""sartorius_crops.py with turns by 90 degrees and jitter of scale, brightness and contrast."""
_base_ = './sartorius_crops.py'

train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(type='RandomResize', scale=(704, 520), ratio_range=(0.8, 1.25), keep_ratio=True),
    *_base_.train_pipeline[2:-1],
    dict(type='RandomTranspose'),
    dict(type='RandomBrightnessContrast', brightness=0.2, contrast=0.2),
    _base_.train_pipeline[-1],
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

"""The report's second experiment: the first one with flips, rotation and colour jitter.

python tools/train.py configs/sartorius/maskrcnn_augmented.py

The report: the validation loss became unstable; it gives no score. Not trained yet.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn_torchvision.py',
    '../_base_/datasets/sartorius_instance.py',
    '../_base_/schedules/sgd_steplr.py',
    '../_base_/default_runtime.py',
]

# The report's mask predictor is 128 channels wide; it and the box predictor start anew.
model = dict(roi_head=dict(mask_head=dict(type='NarrowMaskHead', predictor_channels=128)))
train_pipeline = [
    dict(type='LoadCachedImage'),
    dict(type='LoadCroppedAnnotations'),
    dict(type='Resize', scale=(512, 512), keep_ratio=False),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.2, direction='vertical'),
    # The angle is uniform in +-15 degrees. Corners are filled with the mean grey of the images.
    dict(type='Rotate', prob=1.0, min_mag=0.0, max_mag=15.0, img_border_value=128),
    dict(type='BoxesFromMasks'),
    dict(type='FilterAnnotations', by_box=True, by_mask=True),  # what was turned out of sight
    # Colour jitter 0.2/0.2/0.2: saturation does nothing to grey images.
    dict(type='RandomBrightnessContrast', brightness=0.2, contrast=0.2),
    dict(type='PackDetInputs', meta_keys=_base_.meta_keys),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

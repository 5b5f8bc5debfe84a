"""Crops of 256 x 256 at native resolution for training, whole images for validation."""
_base_ = './sartorius_native.py'

train_pipeline = [
    dict(type='LoadCachedImage'),
    dict(type='LoadCroppedAnnotations'),
    dict(type='WeightedRandomCrop', crop_size=(256, 256), recompute_bbox=True),
    # What is left of a cell at the border of a crop may be a few pixels.
    dict(type='WeightedFilterAnnotations', min_gt_bbox_wh=(3, 3), by_mask=True,
         min_gt_mask_area=15),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PackWeightedInputs', meta_keys={{_base_.meta_keys}}),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

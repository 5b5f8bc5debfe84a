"""Crops of phase-contrast images of other cells and microscopes, one class, for pre-training.

PHASE_CONTRAST_ROOT names a folder with annotations.json (COCO) and images/.
"""
data_root = '{{$PHASE_CONTRAST_ROOT:data/phase_contrast/}}'
meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip',
             'flip_direction')
train_pipeline = [
    dict(type='LoadCachedImage'),
    dict(type='LoadCroppedAnnotations'),
    dict(type='RandomCellScale', diameter=(14, 40)),
    dict(type='RandomCrop', crop_size=(256, 256), recompute_bbox=True),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(3, 3), by_mask=True, min_gt_mask_area=15),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='RandomTranspose'),
    dict(type='RandomBrightnessContrast', brightness=0.2, contrast=0.2),
    dict(type='PackDetInputs', meta_keys=meta_keys),
]
train_dataloader = dict(
    batch_size=4, num_workers=2, persistent_workers=True, pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CocoDataset', data_root=data_root, ann_file='annotations.json',
        data_prefix=dict(img='images/'), metainfo=dict(classes=('cell',)),
        filter_cfg=dict(filter_empty_gt=True), pipeline=train_pipeline))

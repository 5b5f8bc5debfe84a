"""Crops of 256 x 256, labelled ones beside unlabelled ones of train_semi_supervised/.

The teacher sees an unlabelled crop as it is; the student sees it mirrored, turned, and brighter or
darker, with more or less contrast.
"""
_base_ = './sartorius_crops.py'

view_meta_keys = (*_base_.meta_keys, 'homography_matrix')
unlabelled_pipeline = [
    dict(type='LoadCachedImage'),
    dict(type='LoadCroppedAnnotations'),  # none
    dict(type='Resize', scale_factor=1.0),  # native resolution, noted for the masks
    dict(type='RandomCrop', crop_size=(256, 256), allow_negative_crop=True),
    dict(
        type='MultiBranch', branch_field=['unsup_teacher', 'unsup_student'],
        unsup_teacher=[dict(type='PackDetInputs', meta_keys=view_meta_keys)],
        unsup_student=[
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='RandomFlip', prob=0.5, direction='vertical'),
            dict(type='RandomTranspose', prob=0.5),
            dict(type='RandomBrightnessContrast', brightness=0.3, contrast=0.3),
            dict(type='PackDetInputs', meta_keys=view_meta_keys)]),
]
train_dataloader = dict(dataset=dict(
    _delete_=True, type='SemiSupervisedDataset', datasets=[
        _base_.train_dataloader.dataset,
        dict(
            type=_base_.dataset_type, data_root=_base_.data_root, ann_file='',
            data_prefix=dict(img='train_semi_supervised/'), pipeline=unlabelled_pipeline)]))

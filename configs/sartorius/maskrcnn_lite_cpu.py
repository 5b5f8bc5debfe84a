"""Mask R-CNN MobileNetV2-FPN for two CPU cores: crops at native resolution, no GPU.

pip install --no-deps -r requirements-lite.txt
python tools/train.py configs/sartorius/maskrcnn_lite_cpu.py
"""
_base_ = [
    '../_base_/models/mask-rcnn_mobilenetv2_fpn_lite.py',
    '../_base_/datasets/sartorius_instance.py',
    '../_base_/schedules/crops_cpu.py',
    '../_base_/default_runtime.py',
]

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadSartoriusAnnotations'),
    dict(type='RandomCrop', crop_size=(256, 256), recompute_bbox=True),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(3, 3), by_mask=True, min_gt_mask_area=15),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PackDetInputs', meta_keys={{_base_.meta_keys}}),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale_factor=1.0),  # native resolution, noted for the masks
    dict(type='PackDetInputs', meta_keys={{_base_.test_meta_keys}}),
]
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        _delete_=True, type='ClassBalancedDataset', oversample_thr=0.3,
        dataset=dict(
            type={{_base_.dataset_type}}, data_root={{_base_.data_root}}, ann_file='train.csv',
            data_prefix=dict(img='train/'), subset='train', split={{_base_.split}},
            pipeline=train_pipeline)))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

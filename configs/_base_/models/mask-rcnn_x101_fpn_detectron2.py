"""Detectron2's Mask R-CNN X101-32x8d-FPN, layer by layer, for its COCO weights."""
_base_ = './mask-rcnn_r50_fpn.py'

load_from = 'detectron2://mask_rcnn_X_101_32x8d_FPN_3x'
model = dict(
    data_preprocessor=dict(
        mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395], bgr_to_rgb=False),
    backbone=dict(
        type='ResNeXt', depth=101, groups=32, base_width=8,
        norm_cfg=dict(type='BN', requires_grad=False)))

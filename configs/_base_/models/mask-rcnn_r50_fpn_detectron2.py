"""Detectron2's Mask R-CNN R50-FPN, layer by layer, for its COCO weights.

BGR input of unit scale, the stride in the first convolution of a block, frozen BatchNorm. For
R101-FPN set `model.backbone.depth=101` and `load_from=detectron2://mask_rcnn_R_101_FPN_3x`.
"""
_base_ = './mask-rcnn_r50_fpn.py'

load_from = 'detectron2://mask_rcnn_R_50_FPN_3x'
model = dict(
    data_preprocessor=dict(
        mean=[103.53, 116.28, 123.675], std=[1., 1., 1.], bgr_to_rgb=False),
    backbone=dict(style='caffe', norm_cfg=dict(type='BN', requires_grad=False)))

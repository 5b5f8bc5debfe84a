"""torchvision's `maskrcnn_resnet50_fpn`, layer by layer, for its COCO weights.

Differs from mmdet's network in the rounding of anchors, RoIAlign (two samples per bin, no half
pixel) and BatchNorm (frozen, without epsilon). Caps on proposals and detections stay our base's.
"""
_base_ = './mask-rcnn_r50_fpn.py'

load_from = 'torchvision://maskrcnn_resnet50_fpn'
roi_align = dict(sampling_ratio=2, aligned=False)
no_eps = 1e-30  # lost in the rounding of any variance; torch 2.10 refuses 0
model = dict(
    backbone=dict(norm_cfg=dict(type='BN', requires_grad=False, eps=no_eps)),
    rpn_head=dict(anchor_generator=dict(type='TorchvisionAnchorGenerator')),
    roi_head=dict(
        bbox_roi_extractor=dict(roi_layer=roi_align),
        mask_roi_extractor=dict(roi_layer=roi_align)))

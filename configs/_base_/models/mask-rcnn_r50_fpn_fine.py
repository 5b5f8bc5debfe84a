"""Mask R-CNN R50-FPN at strides 2 to 32, for cells of 20 pixels at native resolution."""
_base_ = './mask-rcnn_r50_fpn.py'

model = dict(
    type='FlipTTAMaskRCNN',
    backbone=dict(type='FineResNet', stem_stride=1, norm_cfg=dict(requires_grad=False)),
    rpn_head=dict(anchor_generator=dict(scales=[8], strides=[2, 4, 8, 16, 32])),
    roi_head=dict(
        type='FlipTTARoIHead',
        bbox_roi_extractor=dict(featmap_strides=[2, 4, 8, 16], finest_scale=28),
        mask_roi_extractor=dict(featmap_strides=[2, 4, 8, 16], finest_scale=28)),
    train_cfg=dict(rpn=dict(sampler=dict(num=512))),
    test_cfg=dict(
        rpn=dict(nms=dict(iou_threshold=0.75)),
        rcnn=dict(nms=dict(iou_threshold=0.7), score_thr=0.05)))

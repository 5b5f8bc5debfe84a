"""torchvision's `maskrcnn_resnet50_fpn_v2`, layer by layer, for its COCO weights.

As mask-rcnn_r50_fpn_torchvision.py in anchors and RoIAlign; BatchNorm in backbone, neck and heads,
two convolutions in the RPN, four before the box head's one fully connected layer.
"""
_base_ = './mask-rcnn_r50_fpn.py'

load_from = 'torchvision://maskrcnn_resnet50_fpn_v2'
roi_align = dict(sampling_ratio=2, aligned=False)
norm_cfg = dict(type='BN')
model = dict(
    backbone=dict(norm_cfg=dict(type='BN', requires_grad=True, eps=1e-5)),
    neck=dict(norm_cfg=norm_cfg),
    rpn_head=dict(num_convs=2, anchor_generator=dict(type='TorchvisionAnchorGenerator')),
    roi_head=dict(
        bbox_roi_extractor=dict(roi_layer=roi_align),
        mask_roi_extractor=dict(roi_layer=roi_align),
        bbox_head=dict(type='Shared4Conv1FCBBoxHead', norm_cfg=norm_cfg),
        mask_head=dict(norm_cfg=norm_cfg)))

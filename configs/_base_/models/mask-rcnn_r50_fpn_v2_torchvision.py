"""torchvision's `maskrcnn_resnet50_fpn_v2`, layer by layer, for its COCO weights.

BatchNorm in neck and heads, two convolutions in the RPN, four before the box head's one fully
connected layer.
"""
_base_ = './mask-rcnn_r50_fpn_torchvision.py'

norm_cfg = dict(type='BN')
model = dict(
    backbone=dict(norm_cfg=dict(type='BN', requires_grad=True, eps=1e-5)),
    neck=dict(norm_cfg=norm_cfg),
    rpn_head=dict(num_convs=2),
    roi_head=dict(
        bbox_head=dict(type='Shared4Conv1FCBBoxHead', norm_cfg=norm_cfg),
        mask_head=dict(norm_cfg=norm_cfg)))

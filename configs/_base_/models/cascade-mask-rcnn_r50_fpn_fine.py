"""The network of cascade_mobilenetv2.py on ResNet-50, at the usual widths of pyramid and heads."""
_base_ = './cascade-mask-rcnn_mobilenetv2_fpn.py'

load_from = 'mmdet://mask_rcnn_r50_fpn_1x_coco'
channels = 256
head = dict(in_channels=channels, fc_out_channels=1024)

model = dict(
    backbone=dict(
        _delete_=True, type='FineResNet', depth=50, stem_stride=1, out_indices=(0, 1, 2, 3),
        # Statistics learn: where there are no weights to load, frozen ones would normalise nothing.
        norm_cfg=dict(type='BN', requires_grad=True), norm_eval=False),
    neck=dict(in_channels=[256, 512, 1024, 2048], out_channels=channels),
    rpn_head=dict(in_channels=channels, feat_channels=channels),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels),
        bbox_head=[{**stage, **head} for stage in _base_.model.roi_head.bbox_head],
        mask_roi_extractor=dict(out_channels=channels),
        mask_head=dict(in_channels=channels, conv_out_channels=channels)))

"""The cascade of the Lite2 model on ResNet-50 with conv1 at stride 1: for a GPU."""
_base_ = './cascade-mask-rcnn_lite2_fpn.py'

channels = 128
bbox_head = [{**head, 'in_channels': channels, 'fc_out_channels': 512}
             for head in _base_.model.roi_head.bbox_head]
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True, type='FineResNet', stem_stride=1, depth=50, num_stages=4,
        out_indices=(0, 1, 2, 3), norm_cfg=dict(type='BN'), norm_eval=False, style='pytorch',
        init_cfg=None),
    neck=dict(in_channels=[256, 512, 1024, 2048], out_channels=channels),
    rpn_head=dict(in_channels=channels, feat_channels=channels),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels), bbox_head=bbox_head,
        mask_roi_extractor=dict(out_channels=channels), mask_head=dict(in_channels=channels)))

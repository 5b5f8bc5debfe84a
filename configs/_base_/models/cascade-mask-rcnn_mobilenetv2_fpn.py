"""The laptop network with two box stages, the second for boxes that fit closely.

How many anchors, proposals and RoIs learn is meant for crops of 448 x 448 pixels.
"""
_base_ = './mask-rcnn_mobilenetv2_fpn_lite.py'

bbox_head = dict(
    type='Shared2FCBBoxHead', in_channels=64, fc_out_channels=256, roi_feat_size=7, num_classes=3,
    reg_class_agnostic=True,
    bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_stds=[0.1, 0.1, 0.2, 0.2]),
    loss_cls=dict(type='CrossEntropyLoss', loss_weight=1.0),
    loss_bbox=dict(type='L1Loss', loss_weight=1.0))
rcnn = dict(
    assigner=dict(
        type='DenseMaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5,
        match_low_quality=False, ignore_iof_thr=-1),
    sampler=dict(
        type='RandomSampler', num=392, pos_fraction=0.25, neg_pos_ub=-1, add_gt_as_proposals=True),
    mask_size=28, pos_weight=-1, debug=False)
rcnn_fine = {**rcnn, 'assigner': dict(
    type='DenseMaxIoUAssigner', pos_iou_thr=0.65, neg_iou_thr=0.65, min_pos_iou=0.65,
    match_low_quality=False, ignore_iof_thr=-1)}

model = dict(
    type='FlipTTAMaskRCNN',
    roi_head=dict(
        type='CascadeMaskRoIHead', stage_loss_weights=(1.0, 0.5),
        # The second stage's scores rank cells worse than the first one's (docs/attempts.md).
        stage_score_weights=(1.0, 0.0),
        bbox_head=[
            bbox_head,
            {**bbox_head, 'bbox_coder': dict(
                type='DeltaXYWHBBoxCoder', target_stds=[0.05, 0.05, 0.1, 0.1])}]),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=1568)),
        rpn_proposal=dict(nms_pre=1531, max_per_img=1225),
        rcnn=[rcnn, rcnn_fine]),
    test_cfg=dict(
        rpn=dict(nms_pre=2000, max_per_img=1500, nms=dict(iou_threshold=0.65)),
        # Masks are cut where post-processing says (mask_thr), so their probabilities are kept.
        rcnn=dict(score_by_mask_iou=True, keep_mask_logits=True)))

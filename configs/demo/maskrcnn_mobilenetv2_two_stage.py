"""A small Mask R-CNN with ImageNet weights that learns generated cells on two CPU cores.

make demo

mAP .37 on its 24 generated validation images, after 2 min on two cores (docs/results.md).
"""
_base_ = [
    '../_base_/models/mask-rcnn_mobilenetv2_fpn_lite.py',
    '../_base_/datasets/sample_crops.py',
    '../_base_/schedules/demo_short.py',
    '../_base_/cpu_runtime.py',
]

model = dict(
    backbone=dict(stage_strides=(1, 2, 2, 2, 1, 2, 1)),  # strides 4 to 32: a quarter of the work
    neck=dict(out_channels=48, num_outs=4),
    rpn_head=dict(
        type='RPNHead', in_channels=48, feat_channels=48,
        anchor_generator=dict(
            _delete_=True, type='AnchorGenerator', scales=[4], ratios=[0.5, 1.0, 2.0],
            strides=[4, 8, 16, 32])),
    roi_head=dict(
        bbox_roi_extractor=dict(
            out_channels=48, featmap_strides=[4, 8, 16, 32], finest_scale=28,
            roi_layer=dict(sampling_ratio=2)),
        bbox_head=dict(in_channels=48),
        mask_roi_extractor=dict(out_channels=48, featmap_strides=[4, 8, 16, 32]),
        mask_head=dict(num_convs=2, in_channels=48, conv_out_channels=32)),
    train_cfg=dict(rpn_proposal=dict(max_per_img=300)),
    test_cfg=dict(
        rpn=dict(nms_pre=2000, max_per_img=1000),
        rcnn=dict(nms=dict(iou_threshold=0.4))))
postprocess = dict(
    _delete_=True, vote='relabel', score_thr=dict(shsy5y=0.22, astro=0.6, cort=0.42),
    min_area=dict(shsy5y=60, astro=60, cort=20),
    nms_iou_thr=dict(shsy5y=0.1, astro=0.3, cort=0.3), remove_overlap=True, max_lost_share=0.4)
val_evaluator = dict(postprocess=postprocess)
test_evaluator = val_evaluator

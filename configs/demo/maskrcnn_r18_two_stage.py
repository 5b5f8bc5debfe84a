"""A small Mask R-CNN that learns generated cells from scratch on two CPU cores in minutes.

python tools/train.py configs/demo/maskrcnn_r18_two_stage.py

No package of weights is needed. mAP .35 on the generated validation images of `make demo`, 6 min
on two cores with AVX512-BF16 (docs/results.md).
"""
_base_ = [
    '../_base_/models/mask-rcnn_mobilenetv2_fpn_lite.py',
    '../_base_/datasets/sample_instance.py',
    '../_base_/schedules/demo_two_stage.py',
    '../_base_/cpu_runtime.py',
]

model = dict(
    backbone=dict(
        _delete_=True, type='ResNet', depth=18, base_channels=32, num_stages=4,
        out_indices=(0, 1, 2, 3), norm_eval=False, style='pytorch'),
    neck=dict(in_channels=[32, 64, 128, 256], num_outs=4),
    rpn_head=dict(
        type='RPNHead',
        anchor_generator=dict(
            _delete_=True, type='AnchorGenerator', scales=[4], ratios=[0.5, 1.0, 2.0],
            strides=[4, 8, 16, 32])),
    roi_head=dict(
        bbox_roi_extractor=dict(
            featmap_strides=[4, 8, 16, 32], finest_scale=28, roi_layer=dict(sampling_ratio=2)),
        mask_roi_extractor=dict(featmap_strides=[4, 8, 16, 32]),
        mask_head=dict(num_convs=2, conv_out_channels=32)),
    train_cfg=dict(rpn_proposal=dict(max_per_img=300)),
    test_cfg=dict(rcnn=dict(nms=dict(iou_threshold=0.4))))
postprocess = dict(
    _delete_=True, vote='relabel', score_thr=dict(shsy5y=0.22, astro=0.6, cort=0.42),
    min_area=dict(shsy5y=60, astro=60, cort=20),
    nms_iou_thr=dict(shsy5y=0.1, astro=0.3, cort=0.3), remove_overlap=True, max_lost_share=0.4)
val_evaluator = dict(postprocess=postprocess)
test_evaluator = val_evaluator

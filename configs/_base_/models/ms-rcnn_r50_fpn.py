"""mmdet's Mask Scoring R-CNN R50-FPN, its Caffe variant, of which there are weights with R50."""
_base_ = './mask-rcnn_r50_fpn.py'

load_from = 'mmdet://ms_rcnn_r50_caffe_fpn_1x_coco'
model = dict(
    type='MaskScoringRCNN',
    data_preprocessor=dict(
        mean=[103.53, 116.28, 123.675], std=[1., 1., 1.], bgr_to_rgb=False),
    backbone=dict(style='caffe', norm_cfg=dict(requires_grad=False)),
    rpn_head=dict(anchor_generator=dict(scales=[4, 5.66])),
    roi_head=dict(
        type='CroppedMaskScoringRoIHead',
        mask_iou_head=dict(
            type='MaskIoUHead', num_convs=4, num_fcs=2, roi_feat_size=14, in_channels=256,
            conv_out_channels=256, fc_out_channels=1024, num_classes=3)),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=512)),
        rcnn=dict(mask_thr_binary=0.5)))

"""mmdet's PointRend R50-FPN, its Caffe variant, of which there are weights.

Masks grow from 7 x 7 to 56 x 56 in three steps, where COCO's larger objects get five: a cell is 30
to 60 pixels wide in an image of twice its size.
"""
_base_ = './mask-rcnn_r50_fpn.py'

load_from = 'mmdet://point_rend_r50_caffe_fpn_mstrain_1x_coco'
loss = dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0)
model = dict(
    type='PointRend',
    data_preprocessor=dict(
        mean=[103.53, 116.28, 123.675], std=[1., 1., 1.], bgr_to_rgb=False),
    backbone=dict(style='caffe', norm_cfg=dict(requires_grad=False)),
    rpn_head=dict(anchor_generator=dict(scales=[4, 5.66])),
    roi_head=dict(
        type='CroppedPointRendRoIHead',
        mask_roi_extractor=dict(
            type='GenericRoIExtractor', aggregation='concat', out_channels=256,
            featmap_strides=[4],
            roi_layer=dict(_delete_=True, type='SimpleRoIAlign', output_size=14)),
        mask_head=dict(
            _delete_=True, type='CroppedCoarseMaskHead', num_fcs=2, in_channels=256,
            conv_out_channels=256, fc_out_channels=1024, num_classes=3, loss_mask=loss),
        point_head=dict(
            type='CroppedMaskPointHead', num_fcs=3, in_channels=256, fc_channels=256,
            num_classes=3, coarse_pred_each_layer=True, loss_point=loss)),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=512)),
        rcnn=dict(
            mask_size=7, num_points=14 * 14, oversample_ratio=3, importance_sample_ratio=0.75)),
    test_cfg=dict(rcnn=dict(
        subdivision_steps=3, subdivision_num_points=28 * 28, scale_factor=2)))

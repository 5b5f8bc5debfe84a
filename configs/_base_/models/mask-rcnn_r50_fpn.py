"""mmdet's Mask R-CNN R50-FPN for three cell types and up to 790 cells per image."""
_base_ = 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'

load_from = 'mmdet://mask_rcnn_r50_fpn_1x_coco'
model = dict(
    # `load_from` brings all weights, the backbone's too; where it cannot be had, training starts
    # from scratch.
    backbone=dict(init_cfg=None),
    roi_head=dict(
        type='CroppedMaskRoIHead',
        bbox_head=dict(num_classes=3),
        mask_head=dict(type='CroppedFCNMaskHead', num_classes=3)),
    # COCO's caps (1000 proposals, 100 detections) cost a third of the recall on dense images.
    train_cfg=dict(
        rpn=dict(assigner=dict(type='DenseMaxIoUAssigner')),
        rpn_proposal=dict(nms_pre=4000, max_per_img=2000),
        rcnn=dict(assigner=dict(type='DenseMaxIoUAssigner'))),
    test_cfg=dict(
        rpn=dict(nms_pre=4000, max_per_img=2000),
        rcnn=dict(max_per_img=1000)))

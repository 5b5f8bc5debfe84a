"""mmdet's Cascade Mask R-CNN R50-FPN, three stages with a mask head each, for dense images."""
_base_ = 'mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py'

load_from = 'mmdet://cascade_mask_rcnn_r50_fpn_1x_coco'
model = dict(
    backbone=dict(init_cfg=None),  # `load_from` brings it
    rpn_head=dict(anchor_generator=dict(scales=[4, 5.66])),
    roi_head=dict(
        type='CroppedCascadeRoIHead',
        bbox_head=[{**head, 'num_classes': 3} for head in _base_.model.roi_head.bbox_head],
        mask_head=dict(type='CroppedFCNMaskHead', num_classes=3)),
    train_cfg=dict(
        rpn=dict(assigner=dict(type='DenseMaxIoUAssigner'), sampler=dict(num=512)),
        rpn_proposal=dict(nms_pre=4000, max_per_img=2000),
        rcnn=[{**stage, 'assigner': {**stage.assigner, 'type': 'DenseMaxIoUAssigner'}}
              for stage in _base_.model.train_cfg.rcnn]),
    test_cfg=dict(
        rpn=dict(nms_pre=4000, max_per_img=2000),
        rcnn=dict(max_per_img=1000)))

"""mmdet's QueryInst R50-FPN with a query for each of up to 900 cells, which learn anew."""
_base_ = []  # tells mmengine that this file may import
from mmengine.hub import get_config

load_from = 'mmdet://queryinst_r50_fpn_1x_coco'
model = get_config('mmdet::queryinst/queryinst_r50_fpn_1x_coco.py').model
model.backbone.update(init_cfg=None)  # `load_from` brings it
model.rpn_head.update(num_proposals=900)
for head in model.roi_head.bbox_head:
    head.update(num_classes=3)
for head in model.roi_head.mask_head:
    head.update(type='CroppedDynamicMaskHead', num_classes=3)
del head
model.test_cfg.rcnn.update(max_per_img=900)  # mmdet's head wants one for each query

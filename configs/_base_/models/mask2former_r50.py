"""mmdet's Mask2Former R50 with a query for each of up to 900 cells, which learn anew."""
_base_ = []  # tells mmengine that this file may import
from mmengine.hub import get_config

load_from = 'mmdet://mask2former_r50_8xb2-lsj-50e_coco'
model = get_config('mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py').model
model.data_preprocessor.update(batch_augments=None)  # which pads to 1024 x 1024
model.backbone.update(init_cfg=None)  # `load_from` brings it
model.panoptic_head.update(type='CroppedMask2FormerHead', num_things_classes=3, num_queries=900)
model.panoptic_head.loss_cls.update(class_weight=[1.0] * 3 + [0.1])
model.panoptic_fusion_head.update(type='CroppedMaskFormerFusionHead', num_things_classes=3)
model.test_cfg.update(max_per_image=1000)

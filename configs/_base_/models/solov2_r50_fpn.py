"""mmdet's SOLOv2 R50-FPN for three cell types and up to 790 cells per image.

A cell is predicted from its place in a grid over the image: 88 x 88 places give each of 790 cells
its own, where COCO's 40 x 40 put several into one. Grids go with the size of the image, so that it
has to see whole images in training, too.
"""
_base_ = []  # tells mmengine that this file may import
from mmengine.hub import get_config

load_from = 'mmdet://solov2_r50_fpn_1x_coco'
model = get_config('mmdet::solov2/solov2_r50_fpn_1x_coco.py').model
model.backbone.update(init_cfg=None)  # `load_from` brings it
model.mask_head.update(
    type='CroppedSOLOV2Head', num_classes=3, num_grids=[88, 56, 36, 24, 16],
    scale_ranges=((1, 64), (32, 128), (64, 256), (128, 512), (256, 2048)))
model.test_cfg.update(nms_pre=2000, max_per_img=1000)

"""Mask R-CNN R50-FPN with conv1 at stride 1, on crops at native resolution.

After the recipe of Theo Viel (11th in the competition): fine strides, frozen BatchNorm, AdamW 2e-4
with weight decay .01, 5 % warm-up, linear decay, about 4,000 iterations, four flips in a test. He
reports CV .314 after pre-training on LIVECell.

python tools/train.py configs/sartorius/maskrcnn_r50_fine.py

From scratch, without COCO's weights, on 336 of 420 real images: mAP .238, mix-weighted .230 on the
84 others, tuned out of sample; 4,001 iterations, 20 minutes on an H100 that three trainings shared
(docs/results.md). Not trained with these weights yet.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn_fine.py',
    '../_base_/datasets/sartorius_crops.py',
    '../_base_/schedules/crops_adamw.py',
    '../_base_/default_runtime.py',
]

# He keeps shsy5y from .35, astro from .45 and cort from .65, of at least 0, 150 and 75 pixels.
postprocess = dict(
    _delete_=True,
    score_thr=dict(shsy5y=0.35, astro=0.45, cort=0.65),
    min_area=dict(shsy5y=0, astro=150, cort=75),
    nms_iou_thr=0.1, remove_overlap=True)
val_evaluator = dict(postprocess=postprocess)
test_evaluator = val_evaluator

"""Mask R-CNN R50-FPN in two stages: first the new heads alone, then everything.

python tools/train.py configs/sartorius/maskrcnn_two_stage.py

The report's third experiment on mmdet's network. From scratch, without COCO's weights, on 336 of
420 real images: mAP .171, mix-weighted .162 on the 84 others, tuned out of sample; 3,360
iterations, 13 minutes on an H100 that three trainings shared (docs/results.md). Not trained with
these weights yet.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/sartorius_instance.py',
    '../_base_/schedules/two_stage_adamw.py',
    '../_base_/default_runtime.py',
]

"""Mask R-CNN R50-FPN in two stages: first the new heads alone, then everything.

python tools/train.py configs/sartorius/maskrcnn_two_stage.py

The report's third experiment on mmdet's network. Not trained yet.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/sartorius_instance.py',
    '../_base_/schedules/two_stage_adamw.py',
    '../_base_/default_runtime.py',
]

"""Cascade Mask R-CNN R50-FPN (Cai and Vasconcelos, TPAMI 2019) on crops at twice the size.

python tools/train.py configs/sartorius/cascade_r50.py

Not trained yet.
"""
_base_ = [
    '../_base_/models/cascade-mask-rcnn_r50_fpn.py',
    '../_base_/datasets/sartorius_double_crops.py',
    '../_base_/schedules/crops_adamw.py',
    '../_base_/default_runtime.py',
]

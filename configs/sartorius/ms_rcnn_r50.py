"""Mask Scoring R-CNN R50-FPN (Huang et al., CVPR 2019) on crops at twice the size.

python tools/train.py configs/sartorius/ms_rcnn_r50.py

Not trained yet.
"""
_base_ = [
    '../_base_/models/ms-rcnn_r50_fpn.py',
    '../_base_/datasets/sartorius_double_crops.py',
    '../_base_/schedules/crops_adamw.py',
    '../_base_/default_runtime.py',
]

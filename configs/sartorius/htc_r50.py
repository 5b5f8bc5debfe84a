"""Hybrid Task Cascade R50-FPN (Chen et al., CVPR 2019) on crops at twice the size.

python tools/train.py configs/sartorius/htc_r50.py

Not trained yet.
"""
_base_ = [
    '../_base_/models/htc_r50_fpn.py',
    '../_base_/datasets/sartorius_double_crops.py',
    '../_base_/schedules/crops_adamw.py',
    '../_base_/default_runtime.py',
]

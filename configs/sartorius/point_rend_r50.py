"""PointRend R50-FPN (Kirillov et al., CVPR 2020) on crops at twice the size.

python tools/train.py configs/sartorius/point_rend_r50.py

Not trained yet.
"""
_base_ = [
    '../_base_/models/point-rend_r50_fpn.py',
    '../_base_/datasets/sartorius_double_crops.py',
    '../_base_/schedules/crops_adamw.py',
    '../_base_/default_runtime.py',
]

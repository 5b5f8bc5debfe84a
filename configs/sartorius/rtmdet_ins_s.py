"""RTMDet-Ins-s (Lyu et al., 2022) on crops at twice the size.

python tools/train.py configs/sartorius/rtmdet_ins_s.py

Not trained yet.
"""
_base_ = [
    '../_base_/models/rtmdet-ins_s.py',
    '../_base_/datasets/sartorius_double_crops.py',
    '../_base_/schedules/crops_adamw.py',
    '../_base_/default_runtime.py',
]

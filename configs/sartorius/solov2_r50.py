"""SOLOv2 R50-FPN (Wang et al., NeurIPS 2020) on whole images at twice the size.

python tools/train.py configs/sartorius/solov2_r50.py

Not trained yet.
"""
_base_ = [
    '../_base_/models/solov2_r50_fpn.py',
    '../_base_/datasets/sartorius_double.py',
    '../_base_/schedules/crops_adamw.py',
    '../_base_/default_runtime.py',
]

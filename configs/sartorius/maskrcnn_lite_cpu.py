"""Mask R-CNN MobileNetV2-FPN for two CPU cores: crops at native resolution, no GPU.

pip install --no-deps -r requirements-lite.txt
python tools/train.py configs/sartorius/maskrcnn_lite_cpu.py
"""
_base_ = [
    '../_base_/models/mask-rcnn_mobilenetv2_fpn_lite.py',
    '../_base_/datasets/sartorius_crops.py',
    '../_base_/schedules/crops_cpu.py',
    '../_base_/default_runtime.py',
]

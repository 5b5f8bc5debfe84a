"""The report's fourth experiment: SGD with StepLR(3, 0.1) in the second stage, 8 epochs, flips.

python tools/train.py configs/sartorius/maskrcnn_two_stage_sgd_8e.py

The report: mAP 0.025 on Kaggle's test images. Not trained yet.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn_torchvision.py',
    '../_base_/datasets/sartorius_instance.py',
    '../_base_/schedules/two_stage_sgd.py',
    '../_base_/default_runtime.py',
]

# The report's mask predictor is 128 channels wide; it and the box predictor start anew.
model = dict(roi_head=dict(mask_head=dict(type='NarrowMaskHead', predictor_channels=128)))

"""The report's first experiment: everything learns from the start, by SGD with StepLR(3, 0.1).

python tools/train.py configs/sartorius/maskrcnn_sgd_steplr.py

The report: the loss stops falling at about epoch 10; it gives no score. Not trained yet.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn_torchvision.py',
    '../_base_/datasets/sartorius_instance.py',
    '../_base_/schedules/sgd_steplr.py',
    '../_base_/default_runtime.py',
]

# The report's mask predictor is 128 channels wide; it and the box predictor start anew.
model = dict(roi_head=dict(mask_head=dict(type='NarrowMaskHead', predictor_channels=128)))

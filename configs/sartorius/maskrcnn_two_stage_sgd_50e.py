"""The report's fourth experiment with 50 epochs in the second stage: its best run.

python tools/train.py configs/sartorius/maskrcnn_two_stage_sgd_50e.py

The report: mAP 0.157 on Kaggle's test images. StepLR(3, 0.1) goes on all the time: the rate is
below 1e-6 from epoch 13 of the stage on, so that later epochs can hardly change a weight. Not
trained yet.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn_torchvision.py',
    '../_base_/datasets/sartorius_instance.py',
    '../_base_/schedules/two_stage_sgd.py',
    '../_base_/default_runtime.py',
]

# The report's mask predictor is 128 channels wide; it and the box predictor start anew.
model = dict(roi_head=dict(mask_head=dict(type='NarrowMaskHead', predictor_channels=128)))
train_cfg = dict(stages=[_base_.heads, {**_base_.everything, 'max_epochs': 50}])

"""The report's fourth experiment with 50 epochs in the second stage: its best run.

python tools/train.py configs/sartorius/maskrcnn_two_stage_sgd_50e.py

The report: mAP 0.157 on Kaggle's test images. StepLR(3, 0.1) goes on all the time: the rate is
below 1e-6 from epoch 13 of the stage on, so that later epochs can hardly change a weight.
"""
_base_ = './maskrcnn_two_stage_sgd_8e.py'

train_cfg = dict(stages=[_base_.heads, {**_base_.everything, 'max_epochs': 50}])

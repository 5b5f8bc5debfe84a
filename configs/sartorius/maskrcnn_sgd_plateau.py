"""The report's first experiment with ReduceLROnPlateau on the validation loss.

python tools/train.py configs/sartorius/maskrcnn_sgd_plateau.py

The report: the loss stops falling at about epoch 10; it gives no score. Not trained yet.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn_torchvision.py',
    '../_base_/datasets/sartorius_instance.py',
    '../_base_/schedules/sgd_plateau.py',
    '../_base_/default_runtime.py',
]

# The report's mask predictor is 128 channels wide; it and the box predictor start anew.
model = dict(roi_head=dict(mask_head=dict(type='NarrowMaskHead', predictor_channels=128)))

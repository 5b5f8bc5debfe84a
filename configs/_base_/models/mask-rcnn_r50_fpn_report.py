"""The network of the report: torchvision's, with a mask predictor of 128 channels.

Loads torchvision's COCO weights (box and mask predictor are made anew) and checkpoints of the
report's own runs (everything is taken).
"""
_base_ = './mask-rcnn_r50_fpn_torchvision.py'

model = dict(roi_head=dict(mask_head=dict(type='NarrowMaskHead', predictor_channels=128)))

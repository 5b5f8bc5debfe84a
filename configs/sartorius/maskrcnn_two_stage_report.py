"""The report's third experiment on its own network, torchvision's: two stages, AdamW.

python tools/train.py configs/sartorius/maskrcnn_two_stage_report.py

The schedule is that of maskrcnn_two_stage.py. The report gives no score. Not trained yet.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn_torchvision.py',
    '../_base_/datasets/sartorius_instance.py',
    '../_base_/schedules/two_stage_adamw.py',
    '../_base_/default_runtime.py',
]

# The report's mask predictor is 128 channels wide; it and the box predictor start anew.
model = dict(roi_head=dict(mask_head=dict(type='NarrowMaskHead', predictor_channels=128)))

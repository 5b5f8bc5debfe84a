"""The report's third experiment on its own network, torchvision's: two stages, AdamW.

python tools/train.py configs/sartorius/maskrcnn_two_stage_report.py

The schedule is that of maskrcnn_two_stage.py. The network is the report's: torchvision's Mask
R-CNN with its COCO weights, the mask predictor 128 channels wide.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn_report.py',
    '../_base_/datasets/sartorius_instance.py',
    '../_base_/schedules/two_stage_adamw.py',
    '../_base_/default_runtime.py',
]

load_from = 'https://download.pytorch.org/models/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth'

"""The report's first experiment: everything learns from the start, by SGD with StepLR(3, 0.1).

python tools/train.py configs/sartorius/maskrcnn_sgd_steplr.py

The report: the loss stops to fall at about epoch 10; it gives no score.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn_report.py',
    '../_base_/datasets/sartorius_instance.py',
    '../_base_/schedules/sgd_steplr.py',
    '../_base_/default_runtime.py',
]

# torchvision's COCO weights, as in the report; box and mask predictor start anew.
load_from = 'https://download.pytorch.org/models/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth'

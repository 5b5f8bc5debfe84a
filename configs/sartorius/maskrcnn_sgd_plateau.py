"""The report's first experiment with ReduceLROnPlateau on the validation loss.

python tools/train.py configs/sartorius/maskrcnn_sgd_plateau.py

The report: the loss stops to fall at about epoch 10; it gives no score.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn_report.py',
    '../_base_/datasets/sartorius_instance.py',
    '../_base_/schedules/sgd_plateau.py',
    '../_base_/default_runtime.py',
]

load_from = 'https://download.pytorch.org/models/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth'

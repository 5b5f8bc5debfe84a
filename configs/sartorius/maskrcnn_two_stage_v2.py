"""maskrcnn_two_stage.py on torchvision's second Mask R-CNN R50-FPN, which scores higher on COCO.

python tools/train.py configs/sartorius/maskrcnn_two_stage_v2.py

Not trained yet.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn_v2_torchvision.py',
    '../_base_/datasets/sartorius_instance.py',
    '../_base_/schedules/two_stage_adamw.py',
    '../_base_/default_runtime.py',
]

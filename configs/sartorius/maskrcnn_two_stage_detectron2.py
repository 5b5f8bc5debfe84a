"""maskrcnn_two_stage.py on Detectron2's Mask R-CNN R50-FPN: a road that the report names.

python tools/train.py configs/sartorius/maskrcnn_two_stage_detectron2.py

Not trained yet.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn_detectron2.py',
    '../_base_/datasets/sartorius_instance.py',
    '../_base_/schedules/two_stage_adamw.py',
    '../_base_/default_runtime.py',
]

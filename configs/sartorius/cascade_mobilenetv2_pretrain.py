"""Pre-training of cascade_mobilenetv2.py on phase-contrast images of other cells, of one class.

export PHASE_CONTRAST_ROOT=FOLDER    (annotations.json as COCO has it, and images/)
python tools/train.py configs/sartorius/cascade_mobilenetv2_pretrain.py

A pre-training: its score says nothing about the competition's cells.
"""
_base_ = [
    '../_base_/models/cascade-mask-rcnn_mobilenetv2_fpn.py',
    '../_base_/datasets/phase_contrast_crops.py',
    '../_base_/schedules/crops_cosine_pretrain.py',
    '../_base_/cascade_cpu_runtime.py',
]

model = dict(roi_head=dict(
    bbox_head=[{**head, 'num_classes': 1} for head in _base_.model.roi_head.bbox_head],
    mask_head=dict(num_classes=1)))

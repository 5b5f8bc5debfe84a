"""Pre-training of cascade_r50_fine.py on phase-contrast images of other cells, of one class.

export PHASE_CONTRAST_ROOT=FOLDER    (annotations.json as COCO has it, and images/)
python tools/train.py configs/sartorius/cascade_r50_fine_pretrain.py

A pre-training: its score says nothing about the competition's cells.
"""
_base_ = [
    '../_base_/models/cascade-mask-rcnn_r50_fpn_fine.py',
    '../_base_/datasets/phase_contrast_crops.py',
    '../_base_/schedules/crops_cosine_pretrain.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(
    bbox_head=[{**head, 'num_classes': 1} for head in _base_.model.roi_head.bbox_head],
    mask_head=dict(num_classes=1)))
stage = {**_base_.train_cfg.stages[0], 'optim_wrapper': dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.02),
    clip_grad=dict(max_norm=10))}
train_cfg = dict(stages=[stage])

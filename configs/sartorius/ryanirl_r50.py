"""Mask R-CNN R50-FPN from LIVECell to the competition, with the thresholds of ryanirl.

Source: ryanirl's public solution (GitHub, Kaggle), which reports CV .289 (cort .387, shsy5y .188,
astro .191) and LB .306; it names no hardware. Network, pre-training and the thresholds of boxes,
scores and pixels are its own; crops and schedule are this project's.

python tools/train.py configs/livecell/maskrcnn_r50_livecell.py
python tools/train.py configs/sartorius/ryanirl_r50.py

Class layers start anew, all else comes from the pre-training. Not trained yet.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/sartorius_double_crops.py',
    '../_base_/schedules/crops_adamw.py',
    '../_base_/default_runtime.py',
]

load_from = 'work_dirs/maskrcnn_r50_livecell/iter_4000.pth'
# Pixel thresholds of shsy5y, astro and cort.
model = dict(test_cfg=dict(rcnn=dict(mask_thr_binary=[0.5, 0.45, 0.45])))
postprocess = dict(
    _delete_=True, score_thr=dict(shsy5y=0.15, astro=0.4, cort=0.55),
    nms_iou_thr=dict(shsy5y=0.25, astro=0.4, cort=0.7), remove_overlap=True)
val_evaluator = dict(postprocess=postprocess)
test_evaluator = val_evaluator

"""The 11th place's Mask R-CNN R50: strides 2 to 32, from LIVECell to the competition.

Source: Theo Viel and Sebastien Fischman, github.com/TheoViel/kaggle_sartorius (mmdet 2.17), who
report CV .314 for this model and private .348 for an ensemble of six, on single RTX 2080 Ti.
Crops of 256 x 256 at native resolution, AdamW 2e-4, 4,000 iterations, four flips in a test, a mask
threshold of .45. Not taken over: masks of astro that others had cleaned.

python tools/train.py configs/livecell/theoviel_r50_livecell.py
python tools/train.py configs/sartorius/theoviel_r50.py

Class layers start anew, all else comes from the pre-training. Not trained yet.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn_fine.py',
    '../_base_/datasets/sartorius_crops.py',
    '../_base_/schedules/crops_adamw.py',
    '../_base_/default_runtime.py',
]

load_from = 'work_dirs/theoviel_r50_livecell/iter_4000.pth'
model = dict(test_cfg=dict(rcnn=dict(mask_thr_binary=0.45)))
postprocess = dict(
    _delete_=True,
    score_thr=dict(shsy5y=0.35, astro=0.45, cort=0.65),
    min_area=dict(shsy5y=0, astro=150, cort=75),
    nms_iou_thr=0.1, remove_overlap=True)
val_evaluator = dict(postprocess=postprocess)
test_evaluator = val_evaluator

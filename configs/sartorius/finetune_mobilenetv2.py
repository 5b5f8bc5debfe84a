"""The model of the package learns on: from a few pictures of the same three types of cells.

python tools/train.py configs/sartorius/finetune_mobilenetv2.py --data FOLDER

FOLDER has train.csv and train/, as the page of mmsart app writes them from corrected pictures. From
19 generated pictures: mAP .389 on 6 others, where the model of the package had .097; 10 min on two
cores (docs/results.md).
"""
_base_ = [
    '../_base_/models/cascade-mask-rcnn_mobilenetv2_fpn.py',
    '../_base_/datasets/sartorius_varied_crops.py',
    '../_base_/schedules/crops_cosine_finetune.py',
    '../_base_/cascade_cpu_runtime.py',
]

load_from = 'zoo://cascade_mobilenetv2'
model = dict(backbone=dict(init_cfg=None))
# A few pictures would be an epoch of an iteration or two.
train_dataloader = dict(dataset=dict(
    _delete_=True, type='RepeatDataset', times=50, dataset=_base_.dataset))

# Those of cascade_mobilenetv2.py.
postprocess = dict(
    _delete_=True, vote='relabel', vote_min_score=0.2,
    score_thr=dict(shsy5y=0.27, astro=0.24, cort=0.55),
    mask_thr=dict(shsy5y=0.45, astro=0.4, cort=0.4),
    fill_holes=dict(shsy5y=False, astro=False, cort=True),
    largest_component=dict(shsy5y=False, astro=True, cort=False),
    min_area=dict(shsy5y=20, astro=121, cort=11),
    max_area=dict(shsy5y=1523, astro=10113, cort=1093),
    nms_iou_thr=dict(shsy5y=0.52, astro=0.8, cort=0.29), remove_overlap=True,
    max_lost_share=dict(shsy5y=0.42, astro=0.23, cort=0.83),
    pieces=dict(shsy5y='largest', astro='keep', cort='keep'))
val_evaluator = dict(postprocess=postprocess)
test_evaluator = val_evaluator

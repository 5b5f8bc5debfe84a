"""Mask R-CNN MobileNetV2-FPN for two CPU cores: crops at native resolution, no GPU.

pip install --no-deps -r requirements-lite.txt
python tools/train.py configs/sartorius/maskrcnn_lite_cpu.py

On 420 real images: mAP .229, mix-weighted .218 on 84 validation images, tuned out of sample; about
an hour on one core (docs/results.md).
"""
_base_ = [
    '../_base_/models/mask-rcnn_mobilenetv2_fpn_lite.py',
    '../_base_/datasets/sartorius_crops.py',
    '../_base_/schedules/crops_cpu.py',
    '../_base_/default_runtime.py',
]

# What tools/tune_postprocess.py found, rounded. Half of the sampled boxes are positive, so scores
# run high.
postprocess = dict(
    _delete_=True, vote='relabel', score_thr=dict(shsy5y=0.6, astro=0.58, cort=0.89),
    fill_holes=True, min_area=dict(shsy5y=30, astro=90, cort=65),
    nms_iou_thr=dict(shsy5y=0.45, astro=0.1, cort=0.3), remove_overlap=True,
    max_lost_share=dict(shsy5y=0.35, astro=0.1, cort=0.8))
val_evaluator = dict(postprocess=postprocess)
test_evaluator = val_evaluator

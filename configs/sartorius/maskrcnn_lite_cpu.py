"""Mask R-CNN MobileNetV2-FPN for two CPU cores: crops at native resolution, no GPU.

pip install --no-deps -r requirements-lite.txt
python tools/train.py configs/sartorius/maskrcnn_lite_cpu.py

On 420 real images: mAP .277, mix-weighted .266 on 84 validation images, tuned out of sample; 107
minutes on two cores with AVX512-BF16 (docs/results.md). A test averages over flips; with
--cfg-options model.flip_directions=[] it takes a third of the time.
"""
_base_ = [
    '../_base_/models/mask-rcnn_mobilenetv2_fpn_lite.py',
    '../_base_/datasets/sartorius_crops.py',
    '../_base_/schedules/crops_cpu.py',
    '../_base_/cpu_runtime.py',
]

# Thresholds are what tools/tune_postprocess.py found, rounded.
model = dict(
    type='FlipTTAMaskRCNN', roi_head=dict(type='FlipTTARoIHead'),
    test_cfg=dict(rcnn=dict(mask_thr_binary=[0.35, 0.4, 0.4], score_by_mask_iou=True)))
postprocess = dict(
    _delete_=True, vote='relabel', score_thr=dict(shsy5y=0.25, astro=0.22, cort=0.53),
    fill_holes=dict(shsy5y=False, astro=True, cort=False), largest_component=True,
    min_area=dict(shsy5y=80, astro=135, cort=42),
    nms_iou_thr=dict(shsy5y=0.1, astro=0.2, cort=0.98), remove_overlap=True,
    max_lost_share=dict(shsy5y=0.27, astro=0.3, cort=0.23),
    pieces=dict(shsy5y='drop', astro='largest', cort='keep'))
val_evaluator = dict(postprocess=postprocess)
test_evaluator = val_evaluator

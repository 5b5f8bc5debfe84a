"""Cascade Mask R-CNN with MobileNetV2: trained on a GPU, quick in a laptop's tests.

pip install --no-deps -r requirements-lite.txt
python tools/train.py configs/sartorius/cascade_mobilenetv2_pretrain.py
python tools/train.py configs/sartorius/cascade_mobilenetv2.py --cfg-options \
  load_from=$(cat work_dirs/cascade_mobilenetv2_pretrain/last_checkpoint)

The pre-training takes images that are not in Kaggle's download, and can be left out (docs/zoo.md).
On 336 of 420 real images and 4 more of shsy5y: mAP .289, mix-weighted .279 on the 84 others, with
flips, tuned out of sample; 482 iterations, then 2,287, 1,383, 2,131, 7,675, 1,399 and 1,019,
52 min on parts of GPUs and 5 hours on a CPU core (docs/results.md). tools/train_zoo_model.sh makes
the package's model of it.
"""
_base_ = [
    '../_base_/models/cascade-mask-rcnn_mobilenetv2_fpn.py',
    '../_base_/datasets/sartorius_varied_crops.py',
    '../_base_/schedules/crops_cosine_restarts.py',
    '../_base_/postprocessing/cascade_mobilenetv2.py',
    '../_base_/cascade_cpu_runtime.py',
]

postprocess = dict(_delete_=True, **_base_.tuned_postprocess)
val_evaluator = dict(postprocess=postprocess)
test_evaluator = val_evaluator

"""The model of the package learns on: from a few pictures of the same three types of cells.

python tools/train.py configs/sartorius/finetune_mobilenetv2.py --data FOLDER

FOLDER has train.csv and train/, as the page of mmsart app writes them from corrected pictures. From
19 generated pictures: mAP .404 on 6 others, where the model of the package had .081; 10 min on two
cores (docs/results.md).
"""
_base_ = [
    '../_base_/models/cascade-mask-rcnn_mobilenetv2_fpn.py',
    '../_base_/datasets/sartorius_varied_crops.py',
    '../_base_/schedules/crops_cosine_finetune.py',
    '../_base_/postprocessing/cascade_mobilenetv2.py',
    '../_base_/cascade_cpu_runtime.py',
]

load_from = 'zoo://cascade_mobilenetv2'
model = dict(backbone=dict(init_cfg=None))
# A few pictures would be an epoch of an iteration or two.
train_dataloader = dict(dataset=dict(
    _delete_=True, type='RepeatDataset', times=50, dataset=_base_.dataset))

postprocess = dict(_delete_=True, **_base_.tuned_postprocess)
val_evaluator = dict(postprocess=postprocess)
test_evaluator = val_evaluator

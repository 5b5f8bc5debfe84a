"""Pre-training on LIVECell of Mask R-CNN R50-FPN, on crops at twice the size.

export LIVECELL_ROOT=FOLDER    (LIVECell_dataset_2021, with images/ and annotations/)
python tools/train.py configs/livecell/maskrcnn_r50_livecell.py

A pre-training: configs/sartorius/ryanirl_r50.py goes on from it.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/livecell_crops.py',
    '../_base_/schedules/crops_adamw.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(bbox_head=dict(num_classes=8), mask_head=dict(num_classes=8)),
    test_cfg=dict(rpn=dict(nms_pre=8000, max_per_img=4000), rcnn=dict(max_per_img=2000)))
train_pipeline = [*_base_.train_pipeline[:-1], dict(type='Resize', scale_factor=2.0),
                  _base_.train_pipeline[-1]]
test_pipeline = [_base_.test_pipeline[0], dict(type='Resize', scale_factor=2.0),
                 _base_.test_pipeline[-1]]
val_loss_pipeline = [*_base_.val_loss_pipeline[:-1], dict(type='Resize', scale_factor=2.0),
                     _base_.val_loss_pipeline[-1]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1000))

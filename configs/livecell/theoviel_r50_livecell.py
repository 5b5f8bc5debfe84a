"""Pre-training on LIVECell of the 11th place's Mask R-CNN R50, with strides 2 to 32.

export LIVECELL_ROOT=FOLDER    (LIVECell_dataset_2021, with images/ and annotations/)
python tools/train.py configs/livecell/theoviel_r50_livecell.py

A pre-training: configs/sartorius/theoviel_r50.py goes on from it. Schedule and crops are those of
the fine-tuning; those of the original are not published with its results. Its images hold up to
some thousands of cells, so that limits are twice those for the competition's.
"""
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn_fine.py',
    '../_base_/datasets/livecell_crops.py',
    '../_base_/schedules/crops_adamw.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(bbox_head=dict(num_classes=8), mask_head=dict(num_classes=8)),
    test_cfg=dict(rpn=dict(nms_pre=8000, max_per_img=4000), rcnn=dict(max_per_img=2000)))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=1000))

"""Crops of LIVECell's images at native resolution, eight types of cells, for pre-training.

LIVECELL_ROOT names the folder that holds images/ and annotations/, as LIVECell_dataset_2021 does.
Validation is on LIVECell's validation images; for its test images:
  --cfg-options test_dataloader.dataset.ann_file=annotations/LIVECell/livecell_coco_test.json \
  test_dataloader.dataset.data_prefix.img=images/livecell_test_images/
"""
import os

_base_ = './sartorius_crops.py'

data_root = os.environ.get('LIVECELL_ROOT') or 'data/LIVECell_dataset_2021/'
dataset = dict(
    type='LIVECellDataset', data_root=data_root,
    data_prefix=dict(img='images/livecell_train_val_images/'))
train_dataloader = dict(dataset=dict(
    _delete_=True, **dataset, ann_file='annotations/LIVECell/livecell_coco_train.json',
    filter_cfg=dict(filter_empty_gt=True), pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(
    _delete_=True, **dataset, ann_file='annotations/LIVECell/livecell_coco_val.json',
    test_mode=True, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader

# The first one's score chooses the best checkpoint; the second one is the authors' own.
val_evaluator = [
    dict(type='SartoriusMetric', postprocess=_base_.postprocess),
    dict(type='LIVECellMetric', metric=['bbox', 'segm'])]
test_evaluator = val_evaluator

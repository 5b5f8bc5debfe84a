"""The main configuration with 90 % of the images for training instead of 80 %.

python tools/train.py configs/sartorius/maskrcnn_two_stage_90_10.py

The report names both shares and no difference. Scores of the two are of different validation
images and do not compare. Not trained yet.
"""
_base_ = './maskrcnn_two_stage.py'

split = dict(val_fraction=0.1)
train_dataloader = dict(dataset=dict(split=split))
val_dataloader = dict(dataset=dict(split=split))
test_dataloader = val_dataloader

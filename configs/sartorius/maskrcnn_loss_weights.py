"""The main configuration with weights on the loss terms: a road that the report names.

python tools/train.py configs/sartorius/maskrcnn_loss_weights.py

All weights are 1 in the report's runs. Masks decide the competition's metric, so theirs is
doubled here; any other choice is an option, as in
--cfg-options model.rpn_head.loss_bbox.loss_weight=2. Not trained yet.
"""
_base_ = './maskrcnn_two_stage.py'

model = dict(
    rpn_head=dict(loss_cls=dict(loss_weight=1.0), loss_bbox=dict(loss_weight=1.0)),
    roi_head=dict(
        bbox_head=dict(loss_cls=dict(loss_weight=1.0), loss_bbox=dict(loss_weight=1.0)),
        mask_head=dict(loss_mask=dict(loss_weight=2.0))))

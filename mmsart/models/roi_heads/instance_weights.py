"""What single cells count in the losses of RoI heads."""
from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.utils import ConfigType, InstanceList
from torch import Tensor


def positive_weights(sampled: Sequence[SamplingResult], truth: InstanceList) -> Tensor | None:
    """Look up the weights of the cells that positive RoIs are to find.

    Args:
        sampled: RoIs of each image.
        truth: ``gt_instances`` of each image, with ``weights`` (N,) or without.

    Returns:
        float32, those of all positive RoIs of the batch; None if no image has weights.
    """
    if not any('weights' in instances for instances in truth):
        return None
    return torch.cat([_of_image(*each) for each in zip(sampled, truth, strict=True)])


def _of_image(sampled: SamplingResult, truth: Any) -> Tensor:
    ones = sampled.pos_priors.new_ones(len(sampled.pos_priors))
    return truth.weights.to(ones)[sampled.pos_assigned_gt_inds] if 'weights' in truth else ones


def weighted_bbox_loss(
        head: BBoxHead, results: dict[str, Any], rois: Tensor, sampled: Sequence[SamplingResult],
        truth: InstanceList, train_cfg: ConfigType) -> dict[str, Any]:
    """Compute what ``head.loss_and_target`` computes, with the weights of cells.

    The class and box losses of a positive RoI are multiplied by the weight of its cell; what the
    sums are divided by stays, so that a batch of light cells teaches less. Only RoIs whose weight
    is 0 are left out of the number that class losses are divided by, as in mmdet.

    Args:
        head: the box head.
        results: its ``cls_score`` and ``bbox_pred``.
        rois: (n, 5), image index and xyxy: of each image the positive ones first.
        sampled: RoIs of each image.
        truth: ``gt_instances`` of each image.
        train_cfg: of the RoI head.

    Returns:
        ``loss_bbox`` and ``bbox_targets`` as of mmdet's `BBoxHead.loss_and_target`.
    """
    if not any('weights' in instances for instances in truth):
        return head.loss_and_target(
            cls_score=results['cls_score'], bbox_pred=results['bbox_pred'], rois=rois,
            sampling_results=sampled, rcnn_train_cfg=train_cfg)
    factors = torch.cat([
        torch.cat([_of_image(each, instances), each.neg_priors.new_ones(len(each.neg_priors))])
        for each, instances in zip(sampled, truth, strict=True)])
    labels, label_weights, targets, bbox_weights = head.get_targets(sampled, train_cfg, concat=True)
    all_targets = labels, label_weights * factors, targets, bbox_weights * factors[:, None]
    losses = head.loss(results['cls_score'], results['bbox_pred'], rois, *all_targets)
    return dict(loss_bbox=losses, bbox_targets=all_targets)

"""Assignment of anchors to ground truth whose cost grows with the overlaps there are."""
from collections.abc import Iterator

import torch
from mmdet.models.task_modules import AssignResult, MaxIoUAssigner
from mmdet.registry import TASK_UTILS
from mmengine.structures import InstanceData
from torch import Tensor

TILE = 64  # pixels; a few cells wide, so that one tile's anchors see few of the others' cells
MAX_PAIRS_GPU = 1 << 24  # IoUs computed at a time on a GPU; about 100 bytes each


@TASK_UTILS.register_module()
class DenseMaxIoUAssigner(MaxIoUAssigner):
    """`MaxIoUAssigner` for hundreds of small objects per image: same result, less work.

    Stock computes all K x N IoUs of K objects and N anchors at once, with several temporaries of
    twice that size, and then walks over the objects in Python. Here objects are taken a group at a
    time, and the best anchors of a group are found in one step. On the CPU a group is a tile of the
    image and only the anchors that touch it are looked at; on a GPU, where the pairs are cheap and
    launches are not, a group is as many objects as the memory limit admits.

    Ignored regions, repeated boxes (``perm_repeat_gt_cfg``), ``gt_max_assign_all=False`` and
    thresholds of 0 or less go stock's way.
    """

    def assign(
        self, pred_instances: InstanceData, gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None, **kwargs: object,
    ) -> AssignResult:
        """Assign an object or the background to every anchor.

        Args:
            pred_instances: ``priors`` (N, 4), xyxy.
            gt_instances: ``bboxes`` (K, 4), xyxy, and ``labels`` (K,).
            gt_instances_ignore: ``bboxes`` that neither attract nor repel.

        Returns:
            ``gt_inds`` (N,): -1 for none, 0 for background, else 1 + index of the object;
            ``max_overlaps`` (N,) and ``labels`` (N,).
        """
        priors, gt_bboxes = pred_instances.priors, gt_instances.bboxes
        if not len(priors) or not len(gt_bboxes) or self._needs_stock(gt_instances_ignore):
            return super().assign(pred_instances, gt_instances, gt_instances_ignore, **kwargs)
        max_overlaps, argmax, low_quality = self._best_matches(priors, gt_bboxes)
        gt_inds = torch.full_like(argmax, -1)
        low, high = self.neg_iou_thr if isinstance(
            self.neg_iou_thr, tuple) else (0.0, self.neg_iou_thr)
        gt_inds[(max_overlaps >= low) & (max_overlaps < high)] = 0
        gt_inds = torch.where(max_overlaps >= self.pos_iou_thr, argmax + 1, gt_inds)
        gt_inds = torch.where(low_quality > 0, low_quality, gt_inds)
        labels = torch.where(gt_inds > 0, gt_instances.labels[(gt_inds - 1).clamp(min=0)], -1)
        return AssignResult(len(gt_bboxes), gt_inds, max_overlaps, labels)

    def _needs_stock(self, ignored: InstanceData | None) -> bool:
        ignores = self.ignore_iof_thr > 0 and ignored is not None and len(ignored.bboxes) > 0
        relaxed = self.match_low_quality and (
            self.min_pos_iou <= 0 or not self.gt_max_assign_all)
        return bool(
            ignores or relaxed or self.pos_iou_thr <= 0 or self.perm_repeat_gt_cfg is not None)

    def _best_matches(self, priors: Tensor, gt_bboxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Find the best object of each anchor and the best anchors of each object.

        Returns:
            IoU of each anchor with its best object, float (N,); that object, int64 (N,), the first
            of equals; and the last object, counted from 1, whose best anchor it is and that
            reaches ``min_pos_iou``, 0 for none, int64 (N,).
        """
        best = priors.new_zeros(len(priors))
        best_gt = best.new_zeros(len(priors), dtype=torch.long)
        low_quality = torch.zeros_like(best_gt)
        for gts, near in _groups(priors, gt_bboxes):
            overlaps = self.iou_calculator(gt_bboxes[gts], priors[near])
            value, index = overlaps.max(dim=0)
            candidate, old, old_gt = gts[index], best[near], best_gt[near]
            better = (value > old) | ((value == old) & (candidate < old_gt))
            best[near] = torch.where(better, value, old)
            best_gt[near] = torch.where(better, candidate, old_gt)
            if self.match_low_quality:
                gt_best = overlaps.amax(dim=1, keepdim=True)
                tied = (overlaps == gt_best) & (gt_best >= self.min_pos_iou)
                last = torch.where(tied, gts[:, None] + 1, 0).amax(dim=0)
                low_quality[near] = torch.maximum(low_quality[near], last)
        return best, best_gt, low_quality


def _groups(priors: Tensor, gt_bboxes: Tensor) -> Iterator[tuple[Tensor, Tensor | slice]]:
    """Split the objects; yield their indices, ascending, with the anchors that may overlap them."""
    if priors.device.type != 'cpu':
        everyone = torch.arange(len(gt_bboxes), device=priors.device)
        for gts in everyone.split(max(1, MAX_PAIRS_GPU // len(priors))):
            yield gts, slice(None)
        return
    tiles = ((gt_bboxes[:, :2] + gt_bboxes[:, 2:]) / (2 * TILE)).long()
    keys = tiles[:, 1] * (int(tiles[:, 0].max()) + 1) + tiles[:, 0]
    for key in keys.unique():
        gts = torch.nonzero(keys == key)[:, 0]
        low, high = gt_bboxes[gts, :2].amin(dim=0), gt_bboxes[gts, 2:].amax(dim=0)
        touches = (priors[:, 0] < high[0]) & (priors[:, 1] < high[1])
        touches &= (priors[:, 2] > low[0]) & (priors[:, 3] > low[1])
        near = torch.nonzero(touches)[:, 0]
        if len(near):
            yield gts, near

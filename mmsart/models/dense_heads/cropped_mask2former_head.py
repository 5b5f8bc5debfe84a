"""Mask2Former's head with targets that are read from patches at the points of its losses."""
from typing import Any

import torch
from mmcv.ops import point_sample
from mmdet.models.dense_heads import Mask2FormerHead
from mmdet.models.utils import get_uncertain_point_coords_with_randomness
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.utils import InstanceList, reduce_mean
from mmengine.structures import InstanceData
from torch import Tensor

from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.point_samples import sample_points
from mmsart.utils import UserError


@MODELS.register_module()
class CroppedMask2FormerHead(Mask2FormerHead):
    """`Mask2FormerHead` (Cheng et al., CVPR 2022) without a full-size tensor of masks.

    Matching and losses look at masks in points alone: with `CroppedMasks` these are read from the
    patches. For instances only, without stuff. Predicted masks stay as small as the network makes
    them; :class:`CroppedMaskFormerFusionHead` paints them.
    """

    def preprocess_gt(self, batch_gt_instances: InstanceList,
                      batch_gt_semantic_segs: list) -> InstanceList:
        """Keep the true masks as they are.

        Args:
            batch_gt_instances: ``labels`` and ``masks`` of each image.
            batch_gt_semantic_segs: None for each image.

        Returns:
            ``labels`` and ``masks`` (`CroppedMasks`) of each image.

        Raises:
            UserError: there are stuff maps.
        """
        if any(each is not None for each in batch_gt_semantic_segs):
            raise UserError('CroppedMask2FormerHead: found semantic maps, expected instances only')
        return [
            InstanceData(labels=each.labels, masks=(
                each.masks if isinstance(each.masks, CroppedMasks)
                else CroppedMasks.from_bitmaps(each.masks.to_ndarray())))
            for each in batch_gt_instances]

    def _loss_by_feat_single(
        self, cls_scores: Tensor, mask_preds: Tensor, batch_gt_instances: InstanceList,
        batch_img_metas: list[dict],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the losses of one layer of the decoder.

        Args:
            cls_scores: logits (B, queries, classes + 1).
            mask_preds: logits (B, queries, h, w).
            batch_gt_instances: of :meth:`preprocess_gt`.
            batch_img_metas: one dict per image.

        Returns:
            Losses of classes, masks and overlap (dice).
        """
        matches = [self._match(*each) for each in zip(
            cls_scores, mask_preds, batch_gt_instances, batch_img_metas, strict=True)]
        loss_cls = self._class_loss(cls_scores, matches, batch_gt_instances)
        matched = torch.cat([
            preds[queries] for preds, (queries, _) in zip(mask_preds, matches, strict=True)])
        if not len(matched):
            return loss_cls, matched.sum(), matched.sum()
        count = max(reduce_mean(cls_scores.new_tensor([len(matched)])), 1)
        with torch.no_grad():
            points = get_uncertain_point_coords_with_randomness(
                matched[:, None], None, self.num_points, self.oversample_ratio,
                self.importance_sample_ratio)
            of_images = points.split([len(cells) for _, cells in matches])
            targets = torch.cat([
                sample_points(truth.masks, own, cells) for truth, own, (_, cells) in zip(
                    batch_gt_instances, of_images, matches, strict=True)])
        found = point_sample(matched[:, None], points)[:, 0]
        loss_dice = self.loss_dice(found, targets, avg_factor=count)
        loss_mask = self.loss_mask(
            found.reshape(-1), targets.reshape(-1), avg_factor=count * self.num_points)
        return loss_cls, loss_mask, loss_dice

    @torch.no_grad()
    def _match(self, scores: Tensor, masks: Tensor, truth: InstanceData,
               meta: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Match the queries of one image with its cells, by points that all masks share.

        Returns:
            int64 (n,) each: queries, and the cells that they are to predict.
        """
        points = torch.rand((1, self.num_points, 2), device=scores.device)
        found = point_sample(masks[:, None], points.repeat(len(masks), 1, 1))[:, 0]
        cells = torch.arange(len(truth.labels), device=scores.device)
        true = sample_points(truth.masks, points.expand(len(cells), -1, -1), cells)
        assigned = self.assigner.assign(
            pred_instances=InstanceData(scores=scores, masks=found),
            gt_instances=InstanceData(labels=truth.labels, masks=true), img_meta=meta).gt_inds
        queries = torch.nonzero(assigned > 0)[:, 0]
        return queries, assigned[queries] - 1

    def _class_loss(self, cls_scores: Tensor, matches: list[tuple[Tensor, Tensor]],
                    batch_gt_instances: InstanceList) -> Tensor:
        labels = cls_scores.new_full(cls_scores.shape[:2], self.num_classes, dtype=torch.long)
        for row, (queries, cells), truth in zip(labels, matches, batch_gt_instances, strict=True):
            row[queries] = truth.labels[cells]
        labels = labels.flatten()
        weights = cls_scores.new_tensor(self.class_weight)
        return self.loss_cls(
            cls_scores.flatten(0, 1), labels, torch.ones_like(labels),
            avg_factor=weights[labels].sum())

    def predict(self, x: tuple[Tensor], batch_data_samples: SampleList) -> tuple[Tensor, Tensor]:
        """Compute what the last layer of the decoder says.

        Args:
            x: feature maps of all levels.
            batch_data_samples: of the images.

        Returns:
            Logits of classes (B, queries, classes + 1) and of masks (B, queries, h, w), the masks
            as small as the network's.
        """
        scores, masks = self(x, batch_data_samples)
        return scores[-1], masks[-1]

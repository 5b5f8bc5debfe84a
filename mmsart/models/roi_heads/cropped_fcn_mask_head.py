"""Mask head that learns from patches and predicts patches."""
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.losses import CrossEntropyLoss
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.registry import MODELS
from mmdet.utils import InstanceList
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn.modules.utils import _pair

from mmsart.models.roi_heads.instance_weights import positive_weights
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.paste import paste_masks
from mmsart.structures.mask.roi_targets import roi_targets
from mmsart.utils import UserError


@MODELS.register_module()
class CroppedFCNMaskHead(FCNMaskHead):
    """`FCNMaskHead` without full-size bitmaps: same network, same targets, same masks.

    Takes ``gt_instances.masks`` as `CroppedMasks` (other kinds go mmdet's way) and gives
    ``pred_instances.masks`` as `CroppedMasks`. In training, cells count by
    ``gt_instances.weights``, where there are some.

    Args:
        loss_dice: config of a loss on whole masks beside the pixels' ``loss_mask``, such as
            ``dict(type='DiceLoss', loss_weight=0.5)``; None for none.
        **kwargs: see mmdet's `FCNMaskHead`. With weights ``loss_mask`` has to be
            `CrossEntropyLoss`.

    Options of ``test_cfg.rcnn``:

    - ``mask_thr_binary``: a pixel is set where its probability is >= this; a number, or one per
      class. More than 0, at most 1.
    - ``keep_mask_logits``: keep the probabilities too, as ``pred_instances.mask_probs``, float16
      (N, 28, 28), so that other thresholds can be tried with :func:`paste_masks`.
    - ``score_by_mask_iou``: multiply each score by :func:`expected_iou` of its mask, so that among
      cells that are there for certain those with a doubtful outline come last.
    """

    def __init__(self, *args: Any, loss_dice: dict | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.loss_dice = None if loss_dice is None else MODELS.build(loss_dice)

    def loss_and_target(
        self, mask_preds: Tensor, sampling_results: list[SamplingResult],
        batch_gt_instances: InstanceList, rcnn_train_cfg: ConfigDict,
    ) -> dict[str, Any]:
        """Compute targets and losses.

        Args:
            mask_preds: logits of all positive RoIs of the batch, (n, classes, h, w).
            sampling_results: sampled RoIs of each image.
            batch_gt_instances: ``masks`` of each image, and ``weights`` if cells have some.
            rcnn_train_cfg: see :meth:`get_targets`.

        Returns:
            ``loss_mask``, a dict of losses, and ``mask_targets``.
        """
        found = super().loss_and_target(
            mask_preds, sampling_results, batch_gt_instances, rcnn_train_cfg)
        weights = positive_weights(sampling_results, batch_gt_instances)
        if not len(mask_preds) or (weights is None and self.loss_dice is None):
            return found
        labels = torch.cat([each.pos_gt_labels for each in sampling_results])
        own = self._own_class(mask_preds, InstanceData(labels=labels))
        targets = found['mask_targets']
        if weights is not None:
            found['loss_mask']['loss_mask'] = self._weighted_loss(own, targets, weights)
        if self.loss_dice is not None:
            found['loss_mask']['loss_dice'] = self.loss_dice(
                own, targets, weight=weights, avg_factor=len(own))
        return found

    def _weighted_loss(self, own: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Compute the cross-entropy of masks of shape (n, h, w) that count by (n,) weights."""
        if not isinstance(self.loss_mask, CrossEntropyLoss):
            raise UserError(f'model.roi_head.mask_head.loss_mask: found a '
                            f'{type(self.loss_mask).__name__}, expected CrossEntropyLoss, as cells '
                            'have weights')
        return self.loss_mask.loss_weight * F.binary_cross_entropy_with_logits(
            own, targets, weights[:, None, None])

    def get_targets(
        self, sampling_results: list[SamplingResult], batch_gt_instances: InstanceList,
        rcnn_train_cfg: ConfigDict,
    ) -> Tensor:
        """Compute the mask targets of all positive RoIs of a batch on the RoIs' device.

        Args:
            sampling_results: sampled RoIs of each image.
            batch_gt_instances: ``masks`` of each image.
            rcnn_train_cfg: 'mask_size' of the targets; 'soft_mask_target' to leave them between
                0 and 1.

        Returns:
            float32 (positive RoIs, h, w).
        """
        all_masks = [instances.masks for instances in batch_gt_instances]
        if not all(isinstance(masks, CroppedMasks) for masks in all_masks):
            return super().get_targets(sampling_results, batch_gt_instances, rcnn_train_cfg)
        targets = []
        for sampled, masks in zip(sampling_results, all_masks, strict=True):
            limit = sampled.pos_priors.new_tensor([masks.width, masks.height] * 2)
            bboxes = torch.minimum(sampled.pos_priors.clamp(min=0), limit)
            targets.append(roi_targets(
                masks, bboxes, sampled.pos_assigned_gt_inds, _pair(rcnn_train_cfg.mask_size)))
        joined = torch.cat(targets)
        return joined if rcnn_train_cfg.get('soft_mask_target', False) else (joined >= 0.5).float()

    def predict_by_feat(
        self, mask_preds: Sequence[Tensor], results_list: InstanceList,
        batch_img_metas: list[dict[str, Any]], rcnn_test_cfg: ConfigDict, rescale: bool = False,
        activate_map: bool = False,
    ) -> InstanceList:
        """Turn the network's output into box-local masks.

        Args:
            mask_preds: logits of each image, (n, classes, h, w).
            results_list: detections of each image; boxes in the frame of the network's input.
            batch_img_metas: one dict per image with 'ori_shape' (h, w) and 'scale_factor' (w, h).
            rcnn_test_cfg: 'mask_thr_binary', 'keep_mask_logits', 'score_by_mask_iou'.
            rescale: give boxes (changed in place) and masks in the original image.
            activate_map: ``mask_preds`` are probabilities already.

        Returns:
            ``results_list`` with ``masks`` (`CroppedMasks`) added.
        """
        for preds, results, meta in zip(mask_preds, results_list, batch_img_metas, strict=True):
            height, width = meta['ori_shape'][:2]
            if rescale:
                results.bboxes /= results.bboxes.new_tensor(meta['scale_factor']).repeat(2)
            else:
                scale_w, scale_h = meta['scale_factor']
                height, width = round(height * scale_h), round(width * scale_w)
            probs = self._own_class(preds, results)
            probs = probs if activate_map else probs.sigmoid()
            thr = self._thresholds(rcnn_test_cfg.mask_thr_binary, results)
            results.masks = CroppedMasks.like(
                paste_masks(probs, results.bboxes, (int(height), int(width)), thr))
            if rcnn_test_cfg.get('score_by_mask_iou', False):
                results.scores = results.scores * expected_iou(probs, thr)
            if rcnn_test_cfg.get('keep_mask_logits', False):
                results.mask_probs = probs.half()
        return results_list

    def _own_class(self, preds: Tensor, results: InstanceData) -> Tensor:
        """Pick the logits of each detection's own class, (n, h, w)."""
        if self.class_agnostic:
            return preds[:, 0]
        return preds[torch.arange(len(preds), device=preds.device), results.labels]

    def read_thresholds(self, mask_thr: float | Sequence[float]) -> list[float]:
        """Return the mask threshold of each class.

        Args:
            mask_thr: of ``test_cfg.rcnn.mask_thr_binary``.

        Returns:
            One number per class.

        Raises:
            UserError: it is not a number in (0, 1], nor one per class.
        """
        per_class = (list(mask_thr) if isinstance(mask_thr, list | tuple)
                     else [mask_thr] * self.num_classes)
        if len(per_class) != self.num_classes or not all(
                isinstance(thr, int | float) and 0 < thr <= 1 for thr in per_class):
            raise UserError(
                f'test_cfg.rcnn.mask_thr_binary is {mask_thr}, expected a number above 0 and up '
                f'to 1, or one for each of the {self.num_classes} classes')
        return per_class

    def _thresholds(self, mask_thr: float | Sequence[float], results: InstanceData) -> Tensor:
        """Look up the mask threshold of each detection, float32 (n,)."""
        table = torch.tensor(
            self.read_thresholds(mask_thr), dtype=torch.float32, device=results.labels.device)
        return table[results.labels]


def expected_iou(probs: Tensor, thr: Tensor) -> Tensor:
    """Estimate the IoU of thresholded masks with the truth, from what the head is sure of.

    The expected intersection over the expected union, were every pixel's truth drawn by itself
    with its probability (Nowozin, Optimal decisions from probabilistic models: the
    intersection-over-union case, CVPR 2014).

    Args:
        probs: float (N, h, w), of the foreground.
        thr: float (N,), a pixel is set where its probability is >= this.

    Returns:
        float (N,) in [0, 1]; 0 for an empty mask.
    """
    inside = probs >= thr[:, None, None]
    hit = torch.where(inside, probs, 0).sum((1, 2))
    union = torch.where(inside, 1, probs).sum((1, 2))
    return hit / union.clamp(min=torch.finfo(probs.dtype).tiny)

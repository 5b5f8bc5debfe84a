"""RTMDet-Ins' head with targets from patches and box-local predictions."""
import math
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.dense_heads.rtmdet_ins_head import RTMDetInsSepBNHead
from mmdet.registry import MODELS
from mmdet.utils import ConfigType, InstanceList
from mmengine.structures import InstanceData
from torch import Tensor

from mmsart.models.mask_painting import paint_in_parts
from mmsart.structures.mask.cropped_masks import CroppedMasks


def with_centres(centres: Tensor) -> Tensor:
    """Make the smallest images whose centres of mass are given; mmdet's matching asks for these.

    Args:
        centres: float64 (n, 2), xy.

    Returns:
        float64 (n, 2, 2), weights that sum to 1; x is that of the right column, y of the lower row.
    """
    x, y = centres.unbind(1)
    return torch.stack([1 - x - y, x, y, torch.zeros_like(x)], dim=1).view(-1, 2, 2)


@MODELS.register_module()
class CroppedRTMDetInsSepBNHead(RTMDetInsSepBNHead):
    """`RTMDetInsSepBNHead` (Lyu et al., 2022) that never holds full-size masks of all cells.

    Its loss looks at one pixel of every ``mask_loss_stride`` in each direction: here the rest is
    left out before masks become tensors, not after. Losses and predictions are mmdet's.
    """

    def __init__(self, *args: Any, mask_loss_stride: int = 4, **kwargs: Any) -> None:
        # Targets come subsampled into mmdet's loss, which then has to take every pixel.
        super().__init__(*args, mask_loss_stride=1, **kwargs)
        self.target_stride = mask_loss_stride

    def loss_by_feat(
        self, cls_scores: list[Tensor], bbox_preds: list[Tensor], kernel_preds: list[Tensor],
        mask_feat: Tensor, batch_gt_instances: InstanceList, *args: Any, **kwargs: Any,
    ) -> dict:
        """Compute the losses; see mmdet's.

        Args:
            cls_scores: logits of each level, (B, classes, h, w).
            bbox_preds: distances to the boxes' sides, (B, 4, h, w).
            kernel_preds: weights of the convolutions that paint masks, (B, numbers, h, w).
            mask_feat: (B, channels, h, w).
            batch_gt_instances: ``bboxes``, ``labels`` and ``masks`` of each image.
            *args: metas and ignored instances.
            **kwargs: the same by name.

        Returns:
            Losses by name.
        """
        subsampled = []
        for instances in batch_gt_instances:
            masks = instances.masks
            if not isinstance(masks, CroppedMasks):
                masks = CroppedMasks.from_bitmaps(masks.to_ndarray())
            subsampled.append(InstanceData(
                bboxes=instances.bboxes, labels=instances.labels,
                centres=torch.from_numpy(masks.centroids).to(mask_feat.device),
                masks=masks.subsample(self.target_stride)))
        return super().loss_by_feat(
            cls_scores, bbox_preds, kernel_preds, mask_feat, subsampled, *args, **kwargs)

    def _get_targets_single(
        self, cls_scores: Tensor, bbox_preds: Tensor, flat_anchors: Tensor, valid_flags: Tensor,
        gt_instances: InstanceData, *args: Any, **kwargs: Any,
    ) -> tuple:
        """Match one image's places with its cells, which needs no more of masks than centres."""
        truth = InstanceData(
            bboxes=gt_instances.bboxes, labels=gt_instances.labels,
            masks=with_centres(gt_instances.centres))
        return super()._get_targets_single(
            cls_scores, bbox_preds, flat_anchors, valid_flags, truth, *args, **kwargs)

    def _bbox_mask_post_process(
        self, results: InstanceData, mask_feat: Tensor, cfg: ConfigType, rescale: bool = False,
        with_nms: bool = True, img_meta: dict | None = None,
    ) -> InstanceData:
        """Choose detections and paint their masks.

        Args:
            results: candidates: ``bboxes``, ``scores``, ``labels``, ``kernels`` and ``priors``.
            mask_feat: (channels, h, w).
            cfg: of the test.
            rescale: give boxes and masks in the original image.
            with_nms: has to be on.
            img_meta: with 'scale_factor' (w, h) and 'ori_shape' (h, w).

        Returns:
            ``bboxes``, ``scores``, ``labels`` and ``masks``.
        """
        assert img_meta is not None
        assert with_nms, 'with_nms must be True for RTMDet-Ins'
        found = self._bbox_post_process(results, cfg, rescale, with_nms, img_meta)
        kernels, priors = found.pop('kernels'), found.pop('priors')
        stride = self.prior_generator.strides[0][0]
        height, width = padded = tuple(side * stride for side in mask_feat.shape[-2:])
        scaled = padded
        if rescale:
            height, width = (int(side) for side in img_meta['ori_shape'][:2])
            to_original = [1 / factor for factor in img_meta['scale_factor']]
            scaled = (math.ceil(padded[0] * to_original[1]), math.ceil(padded[1] * to_original[0]))

        def paint(part: slice) -> Tensor:
            logits = self._mask_predict_by_feat_single(mask_feat, kernels[part], priors[part])
            logits = F.interpolate(logits[None], scale_factor=stride, mode='bilinear')
            if rescale:
                logits = F.interpolate(logits, size=scaled, mode='bilinear', align_corners=False)
            return logits[0, :, :height, :width].sigmoid() > cfg.mask_thr_binary

        found.masks = paint_in_parts(
            len(found), (height, width), max(padded, scaled, key=math.prod), paint)
        return found

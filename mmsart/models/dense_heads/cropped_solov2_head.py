"""SOLOv2's head with targets from patches and box-local predictions."""
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.dense_heads import SOLOV2Head
from mmdet.models.layers import mask_matrix_nms
from mmdet.registry import MODELS
from mmdet.utils import OptConfigType
from mmengine.structures import InstanceData
from torch import Tensor

from mmsart.models.mask_painting import paint_in_parts, parts
from mmsart.structures.mask.cropped_masks import CroppedMasks

CHUNK_CELLS = 32


@MODELS.register_module()
class CroppedSOLOV2Head(SOLOV2Head):
    """`SOLOV2Head` (Wang et al., NeurIPS 2020) that never holds all full-size masks of an image.

    Targets and predictions are mmdet's; predictions have tight boxes, where mmdet's are all zero.
    What the loss compares remains: a map of a quarter of the image's height and width for each
    place that is to predict a cell.
    """

    def _get_targets_single(self, gt_instances: InstanceData,
                            featmap_sizes: list | None = None) -> tuple:
        """Compute the targets of one image; see mmdet's.

        Args:
            gt_instances: with ``bboxes`` (n, 4), ``labels`` and ``masks``.
            featmap_sizes: (h, w) of the mask features.

        Returns:
            For each level the masks to predict, the labels of the grid, whether a place is
            positive, and the positive places.
        """
        if len(gt_instances) <= CHUNK_CELLS:
            return super()._get_targets_single(gt_instances, featmap_sizes)
        masks, labels, positive, places = zip(*(
            super(CroppedSOLOV2Head, self)._get_targets_single(
                gt_instances[begin:begin + CHUNK_CELLS], featmap_sizes)
            for begin in range(0, len(gt_instances), CHUNK_CELLS)), strict=True)
        return (
            [torch.cat(level) for level in zip(*masks, strict=True)],
            [self._last_label(level) for level in zip(*labels, strict=True)],
            [torch.stack(level).any(0) for level in zip(*positive, strict=True)],
            [list(chain.from_iterable(level)) for level in zip(*places, strict=True)])

    def _last_label(self, grids: tuple[Tensor, ...]) -> Tensor:
        """Label each place as the last cell that wants it."""
        labels = grids[0]
        for grid in grids[1:]:
            labels = torch.where(grid == self.num_classes, labels, grid)
        return labels

    def _predict_by_feat_single(
        self, kernel_preds: Tensor, cls_scores: Tensor, mask_feats: Tensor,
        img_meta: dict[str, Any], cfg: OptConfigType = None,
    ) -> InstanceData:
        """Turn the network's output for one image into box-local masks.

        Args:
            kernel_preds: (places, channels) of all levels.
            cls_scores: probabilities (places, classes).
            mask_feats: (1, channels, h, w).
            img_meta: with 'img_shape' and 'ori_shape', (h, w).
            cfg: in place of the head's ``test_cfg``.

        Returns:
            ``scores``, ``labels``, ``masks`` and ``bboxes`` in the original image.
        """
        cfg = self.test_cfg if cfg is None else cfg
        place, labels = (cls_scores > cfg.score_thr).nonzero(as_tuple=True)
        scores, kernels = cls_scores[place, labels], kernel_preds[place]
        map_size = (mask_feats.size(-2), mask_feats.size(-1))
        inside, areas, certainty = [], [], []
        for part in parts(len(place), map_size):
            probs = self._probabilities(kernels[part], mask_feats)
            inside.append(probs > cfg.mask_thr)
            areas.append(inside[-1].sum((1, 2)).float())
            certainty.append((probs * inside[-1]).sum((1, 2)))
        if inside:
            area = torch.cat(areas)
            large = area > self._strides(place)
            scores, _, _, kept = self._matrix_nms(
                torch.cat(inside)[large], labels[large],
                (scores * torch.cat(certainty) / area.clamp(min=1))[large], area[large], cfg)
            kernels, labels = kernels[large][kept], labels[large][kept]
        return self._paint(kernels, scores, labels, mask_feats, img_meta, cfg.mask_thr)

    def _matrix_nms(self, masks: Tensor, labels: Tensor, scores: Tensor, area: Tensor,
                    cfg: Any) -> tuple:
        if not len(masks):
            return scores, labels, masks, torch.zeros(0, dtype=torch.long, device=masks.device)
        return mask_matrix_nms(
            masks, labels, scores, mask_area=area, nms_pre=cfg.nms_pre, max_num=cfg.max_per_img,
            kernel=cfg.kernel, sigma=cfg.sigma, filter_thr=cfg.filter_thr)

    def _probabilities(self, kernels: Tensor, mask_feats: Tensor) -> Tensor:
        """Convolve the mask features with kernels, (n, h, w)."""
        size = self.dynamic_conv_size
        return F.conv2d(mask_feats, kernels.view(len(kernels), -1, size, size))[0].sigmoid()

    def _strides(self, place: Tensor) -> Tensor:
        """Look up the stride of each place's level: the least area of a mask."""
        grids = place.new_tensor(self.num_grids).pow(2)
        return torch.repeat_interleave(place.new_tensor(self.strides), grids)[place]

    def _paint(self, kernels: Tensor, scores: Tensor, labels: Tensor, mask_feats: Tensor,
               img_meta: dict[str, Any], threshold: float) -> InstanceData:
        height, width = (int(side) for side in img_meta['ori_shape'][:2])
        shown = img_meta['img_shape'][:2]
        padded = tuple(side * self.mask_stride for side in mask_feats.shape[-2:])

        def paint(part: slice) -> Tensor:
            probs = self._probabilities(kernels[part], mask_feats)[None]
            probs = F.interpolate(probs, size=padded, mode='bilinear', align_corners=False)
            probs = F.interpolate(probs[..., :shown[0], :shown[1]], size=(height, width),
                                  mode='bilinear', align_corners=False)
            return probs[0] > threshold

        masks: CroppedMasks = paint_in_parts(len(kernels), (height, width), padded, paint)
        return InstanceData(
            scores=scores, labels=labels, masks=masks,
            bboxes=masks.get_bboxes().tensor.to(scores.device))

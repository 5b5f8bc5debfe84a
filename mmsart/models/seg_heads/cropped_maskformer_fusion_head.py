"""From the queries of Mask2Former to box-local masks."""
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.seg_heads import MaskFormerFusionHead
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from mmsart.models.mask_painting import paint_in_parts


@MODELS.register_module()
class CroppedMaskFormerFusionHead(MaskFormerFusionHead):
    """`MaskFormerFusionHead` for instances, which paints the masks of a few queries at a time.

    Takes mask logits of any size, as :class:`CroppedMask2FormerHead` gives them. Results are
    mmdet's; there is no panoptic map.
    """

    def predict(
        self, mask_cls_results: Tensor, mask_pred_results: Tensor, batch_data_samples: SampleList,
        rescale: bool = False, **kwargs: Any,
    ) -> list[dict[str, InstanceData]]:
        """Choose the best pairs of query and class, and paint their masks.

        Args:
            mask_cls_results: logits (B, queries, classes + 1).
            mask_pred_results: logits (B, queries, h, w).
            batch_data_samples: of the images.
            rescale: give masks in the original image.
            **kwargs: not used, as in mmdet.

        Returns:
            ``ins_results`` of each image: ``bboxes``, ``scores``, ``labels`` and ``masks``.
        """
        return [
            {'ins_results': self._instances(scores, masks, sample.metainfo, rescale)}
            for scores, masks, sample in zip(
                mask_cls_results, mask_pred_results, batch_data_samples, strict=True)]

    def _instances(self, logits: Tensor, masks: Tensor, meta: dict[str, Any],
                   rescale: bool) -> InstanceData:
        scores = logits.softmax(-1)[:, :-1]
        best, chosen = scores.flatten().topk(self.test_cfg.max_per_image, sorted=False)
        queries, labels = chosen // self.num_classes, chosen % self.num_classes
        padded = tuple(meta['batch_input_shape'])
        shown = tuple(meta['img_shape'][:2])
        height, width = (int(side) for side in (meta['ori_shape'] if rescale else shown)[:2])
        certainty = torch.zeros_like(best)

        def paint(part: slice) -> Tensor:
            maps = F.interpolate(masks[queries[part]][None], size=padded, mode='bilinear',
                                 align_corners=False)[..., :shown[0], :shown[1]]
            if rescale:
                maps = F.interpolate(maps, size=(height, width), mode='bilinear',
                                     align_corners=False)
            inside = maps[0] > 0
            certainty[part] = (maps[0].sigmoid() * inside).sum((1, 2)) / (
                inside.sum((1, 2)) + 1e-6)
            return inside

        painted = paint_in_parts(len(best), (height, width), padded, paint)
        return InstanceData(
            bboxes=painted.get_bboxes().tensor.to(best.device), labels=labels,
            scores=best * certainty, masks=painted)

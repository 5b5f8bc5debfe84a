"""RoI heads of other families that predict masks a few hundred at a time."""
from typing import Any

from mmdet.models.roi_heads import (
    CascadeRoIHead,
    HybridTaskCascadeRoIHead,
    MaskScoringRoIHead,
    PointRendRoIHead,
)
from mmdet.models.roi_heads.base_roi_head import BaseRoIHead
from mmdet.registry import MODELS
from mmdet.utils import InstanceList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmsart.models.roi_heads.cropped_mask_roi_head import CHUNK_ROIS


class MasksInParts(BaseRoIHead):
    """Send the detections of an image through the mask branch a part at a time.

    A thousand at once need more memory there than the rest of the network. What a family does in
    ``predict_mask`` is done for each part, so that masks, scores and boxes are those of all at
    once. The mask heads have to be :class:`CroppedFCNMaskHead`'s kin.
    """

    def predict_mask(
        self, x: tuple[Tensor], batch_img_metas: list[dict], results_list: InstanceList,
        rescale: bool = False, **kwargs: Any,
    ) -> InstanceList:
        """Add masks to the detections.

        Args:
            x: feature maps of all levels, (B, C, h, w) each.
            batch_img_metas: one dict per image with 'ori_shape' (h, w) and 'scale_factor' (w, h).
            results_list: detections of each image, boxes in the frame of the network's input.
            rescale: give boxes and masks in the original image.
            **kwargs: maps (B, ...) of other branches, or None, under the family's own names.

        Returns:
            Detections with ``masks`` added.
        """
        results = []
        for number, (meta, found) in enumerate(zip(batch_img_metas, results_list, strict=True)):
            own = slice(number, number + 1)
            branches = {name: value if value is None else value[own]
                        for name, value in kwargs.items()}
            parts = [
                super(MasksInParts, self).predict_mask(
                    x=tuple(level[own] for level in x), batch_img_metas=[meta],
                    results_list=[found[begin:begin + CHUNK_ROIS]], rescale=rescale, **branches)[0]
                for begin in range(0, len(found), CHUNK_ROIS)]
            results.append(InstanceData.cat(parts) if parts
                           else self._without_masks(found, meta, rescale))
        return results

    def _without_masks(self, found: InstanceData, meta: dict, rescale: bool) -> InstanceData:
        """Have the mask head answer for an image without detections, as for any other."""
        heads: Any = self.mask_head
        head: Any = heads[-1] if isinstance(heads, nn.ModuleList) else heads
        nothing = found.bboxes.new_zeros(0, head.num_classes, 1, 1)
        return head.predict_by_feat([nothing], [found], [meta], self.test_cfg, rescale=rescale)[0]


@MODELS.register_module()
class CroppedCascadeRoIHead(MasksInParts, CascadeRoIHead):
    """`CascadeRoIHead`, with a mask head for each stage."""


@MODELS.register_module()
class CroppedHTCRoIHead(MasksInParts, HybridTaskCascadeRoIHead):
    """`HybridTaskCascadeRoIHead`."""


@MODELS.register_module()
class CroppedMaskScoringRoIHead(MasksInParts, MaskScoringRoIHead):
    """`MaskScoringRoIHead`: scores times the IoU that a branch of its own expects of the mask."""


@MODELS.register_module()
class CroppedPointRendRoIHead(MasksInParts, PointRendRoIHead):
    """`PointRendRoIHead`: masks refined at the points that are least certain."""

"""Point head of PointRend that reads its targets from patches."""
from mmcv.ops import rel_roi_point_to_rel_img_point
from mmdet.models.roi_heads.mask_heads import MaskPointHead
from mmdet.registry import MODELS
from mmdet.utils import ConfigType
from mmengine.structures import InstanceData
from torch import Tensor

from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.point_samples import sample_points


@MODELS.register_module()
class CroppedMaskPointHead(MaskPointHead):
    """`MaskPointHead` for `CroppedMasks`; masks of other kinds go mmdet's way."""

    def _get_targets_single(
        self, rois: Tensor, rel_roi_points: Tensor, pos_assigned_gt_inds: Tensor,
        gt_instances: InstanceData, cfg: ConfigType,
    ) -> Tensor:
        """Read the true masks of one image at the points of its RoIs.

        Args:
            rois: (R, 5), the image's number and the box xyxy in the network's input.
            rel_roi_points: (R, P, 2), points as shares of their RoI.
            pos_assigned_gt_inds: int64 (R,), instance of each RoI.
            gt_instances: with ``masks``.
            cfg: not used here; of other masks, see mmdet.

        Returns:
            float32 (R, P).
        """
        masks = gt_instances.masks
        if not isinstance(masks, CroppedMasks):
            return super()._get_targets_single(
                rois, rel_roi_points, pos_assigned_gt_inds, gt_instances, cfg)
        points = rel_roi_point_to_rel_img_point(
            rois, rel_roi_points, (masks.height, masks.width))
        return sample_points(masks, points, pos_assigned_gt_inds)

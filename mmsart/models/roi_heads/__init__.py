"""RoI and mask heads that keep each mask in its own box."""
from mmsart.models.roi_heads.bag_roi_extractor import BagRoIExtractor
from mmsart.models.roi_heads.cascade_mask_roi_head import CascadeMaskRoIHead
from mmsart.models.roi_heads.cropped_fcn_mask_head import CroppedFCNMaskHead
from mmsart.models.roi_heads.cropped_mask_heads import (
    CroppedCoarseMaskHead,
    CroppedDynamicMaskHead,
    CroppedHTCMaskHead,
)
from mmsart.models.roi_heads.cropped_mask_point_head import CroppedMaskPointHead
from mmsart.models.roi_heads.cropped_mask_roi_head import CroppedMaskRoIHead
from mmsart.models.roi_heads.flip_tta_roi_head import FlipTTARoIHead
from mmsart.models.roi_heads.masks_in_parts import (
    CroppedCascadeRoIHead,
    CroppedHTCRoIHead,
    CroppedMaskScoringRoIHead,
    CroppedPointRendRoIHead,
)
from mmsart.models.roi_heads.narrow_mask_head import NarrowMaskHead
from mmsart.models.roi_heads.one_type_roi_head import OneTypeRoIHead

__all__ = [
    'BagRoIExtractor', 'CascadeMaskRoIHead', 'CroppedCascadeRoIHead', 'CroppedCoarseMaskHead',
    'CroppedDynamicMaskHead', 'CroppedFCNMaskHead', 'CroppedHTCMaskHead', 'CroppedHTCRoIHead',
    'CroppedMaskPointHead', 'CroppedMaskRoIHead', 'CroppedMaskScoringRoIHead',
    'CroppedPointRendRoIHead', 'FlipTTARoIHead', 'NarrowMaskHead', 'OneTypeRoIHead']

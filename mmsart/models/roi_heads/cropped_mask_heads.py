"""Mask heads of other families, with the targets and predictions of `CroppedFCNMaskHead`."""
from mmdet.models.roi_heads.mask_heads import CoarseMaskHead, DynamicMaskHead, HTCMaskHead
from mmdet.registry import MODELS

from mmsart.models.roi_heads.cropped_fcn_mask_head import CroppedFCNMaskHead


@MODELS.register_module()
class CroppedHTCMaskHead(CroppedFCNMaskHead, HTCMaskHead):
    """`HTCMaskHead`, of Hybrid Task Cascade (Chen et al., CVPR 2019), with box-local masks."""


@MODELS.register_module()
class CroppedCoarseMaskHead(CroppedFCNMaskHead, CoarseMaskHead):
    """`CoarseMaskHead`, of PointRend (Kirillov et al., CVPR 2020), with box-local masks."""


@MODELS.register_module()
class CroppedDynamicMaskHead(CroppedFCNMaskHead, DynamicMaskHead):
    """`DynamicMaskHead`, of QueryInst (Fang et al., ICCV 2021), with box-local masks."""

"""Detectors."""
from mmsart.models.detectors.flip_tta_mask_rcnn import FlipTTAMaskRCNN
from mmsart.models.detectors.mask_ensemble import MaskEnsemble
from mmsart.models.detectors.mask_soft_teacher import MaskSoftTeacher
from mmsart.models.detectors.mask_tta import MaskTTA
from mmsart.models.detectors.tiled_htc import TiledHTC

__all__ = ['FlipTTAMaskRCNN', 'MaskEnsemble', 'MaskSoftTeacher', 'MaskTTA', 'TiledHTC']

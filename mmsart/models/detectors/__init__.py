"""Detectors."""
from mmsart.models.detectors.flip_tta_mask_rcnn import FlipTTAMaskRCNN
from mmsart.models.detectors.mask_ensemble import MaskEnsemble

__all__ = ['FlipTTAMaskRCNN', 'MaskEnsemble']

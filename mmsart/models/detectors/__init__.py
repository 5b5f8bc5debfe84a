"""Detectors."""
from mmsart.models.detectors.flip_tta_mask_rcnn import FlipTTAMaskRCNN

__all__ = ['FlipTTAMaskRCNN']

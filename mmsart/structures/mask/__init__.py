"""Mask structures: run-length codes and masks in their own boxes."""
from mmsart.structures.mask.patch_masks import PatchMasks

__all__ = ['PatchMasks']

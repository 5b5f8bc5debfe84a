"""Heads that turn queries into instances."""
from mmsart.models.seg_heads.cropped_maskformer_fusion_head import CroppedMaskFormerFusionHead

__all__ = ['CroppedMaskFormerFusionHead']

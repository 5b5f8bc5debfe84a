"""Heads on feature maps."""
from mmsart.models.dense_heads.coarse_rpn_head import CoarseRPNHead

__all__ = ['CoarseRPNHead']

"""Thresholds, mask NMS, overlap removal: from what a detector says to final instances."""
from mmsart.postprocessing.config import (
    OPTIONS,
    check_disjoint,
    complete_config,
    load_postprocess,
)
from mmsart.postprocessing.overlap import mask_nms, remove_overlap, score_order
from mmsart.postprocessing.postprocessor import PostProcessor, vote_type

__all__ = [
    'OPTIONS',
    'PostProcessor',
    'check_disjoint',
    'complete_config',
    'load_postprocess',
    'mask_nms',
    'remove_overlap',
    'score_order',
    'vote_type',
]

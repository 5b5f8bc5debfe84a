"""Thresholds, mask NMS, overlap removal and submissions: one way from detections to a score."""
from mmsart.postprocessing.config import OPTIONS, complete_config, load_postprocess
from mmsart.postprocessing.overlap import mask_nms, remove_overlap, score_order
from mmsart.postprocessing.postprocessor import PostProcessor, vote_type
from mmsart.postprocessing.submission import (
    Problem,
    Submission,
    check_submission,
    read_submission,
    write_submission,
)

__all__ = [
    'OPTIONS',
    'PostProcessor',
    'Problem',
    'Submission',
    'check_submission',
    'complete_config',
    'load_postprocess',
    'mask_nms',
    'read_submission',
    'remove_overlap',
    'score_order',
    'vote_type',
    'write_submission',
]

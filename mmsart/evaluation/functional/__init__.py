"""Mathematics of the competition's score, free of mmengine."""
from mmsart.evaluation.functional.matching import count_matches, match_pairs
from mmsart.evaluation.functional.sartorius_map import (
    IOU_THRS,
    ImageScore,
    score_image,
    summarize,
)
from mmsart.structures.mask.intersections import mask_ious

__all__ = [
    'IOU_THRS',
    'ImageScore',
    'count_matches',
    'mask_ious',
    'match_pairs',
    'score_image',
    'summarize',
]

"""What is wrong with predictions: missed, merged, split, badly outlined, spurious, doubled."""
from dataclasses import dataclass

import numpy as np

from mmsart.evaluation.functional.matching import match_pairs

HIT_IOU = 0.5
POOR_IOU = 0.1
GT_KINDS = ('hit', 'wrong type', 'poor outline', 'merged', 'split', 'missed')
"""Each true object is of one of these kinds."""
PRED_KINDS = ('matched', 'counterpart', 'duplicate', 'spurious')
"""Each prediction is of one of these kinds."""


@dataclass(frozen=True)
class ErrorKinds:
    """The kinds of one image's objects.

    Attributes:
        gt: (G,) int64 into :data:`GT_KINDS`.
        pred: (P,) int64 into :data:`PRED_KINDS`.
    """

    gt: np.ndarray
    pred: np.ndarray


def find_error_kinds(
        shared: np.ndarray, pred_area: np.ndarray, gt_area: np.ndarray,
        right_type: np.ndarray) -> ErrorKinds:
    """Tell what became of each true object and what each prediction is.

    A true object is, by the first of these that holds,

    - a *hit*, if it has a partner in the one-to-one matching of IoU > 0.5, or of *wrong type* if
      the partner has another class (the competition counts that as a hit);
    - *merged*, if more than half of it lies in a prediction that holds more than half of another
      true object too;
    - *split*, if two or more predictions, each with more than half of its area inside, together
      cover more than half of it;
    - of *poor outline*, if its best IoU is in (0.1, 0.5];
    - *missed*.

    A prediction is *matched*; else a *duplicate*, if its IoU with an object that has another
    partner is > 0.5; else *spurious*, if its best IoU is <= 0.1 and it neither merges nor is part
    of a split; else the *counterpart* of a true object that is no hit.

    Args:
        shared: (P, G) pixels that a prediction and a true object have in common.
        pred_area: (P,) pixels, at least 1.
        gt_area: (G,) pixels, at least 1.
        right_type: (P,) bool, whether the class of a prediction is the image's.

    Returns:
        The kinds.
    """
    pred_area, gt_area = np.asarray(pred_area), np.asarray(gt_area)
    ious = shared / (pred_area[:, None] + gt_area[None] - shared)
    rows, columns = match_pairs(ious, HIT_IOU)

    holds = shared > gt_area[None] / 2
    merges = holds.sum(1) >= 2
    parts = shared > pred_area[:, None] / 2
    split = (parts.sum(0) >= 2) & ((shared * parts).sum(0) > gt_area / 2)
    kinds = np.full(len(gt_area), GT_KINDS.index('missed'))
    kinds[ious.max(0, initial=0) > POOR_IOU] = GT_KINDS.index('poor outline')
    kinds[split] = GT_KINDS.index('split')
    kinds[holds[merges].any(0)] = GT_KINDS.index('merged')
    kinds[columns] = np.where(
        right_type[rows], GT_KINDS.index('hit'), GT_KINDS.index('wrong type'))

    pred_kinds = np.full(len(pred_area), PRED_KINDS.index('counterpart'))
    involved = merges | parts[:, split].any(1)
    pred_kinds[(ious.max(1, initial=0) <= POOR_IOU) & ~involved] = PRED_KINDS.index('spurious')
    pred_kinds[(ious > HIT_IOU).any(1)] = PRED_KINDS.index('duplicate')
    pred_kinds[rows] = PRED_KINDS.index('matched')
    return ErrorKinds(kinds, pred_kinds)

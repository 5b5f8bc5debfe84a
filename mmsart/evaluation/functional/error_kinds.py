"""What is wrong with predictions: missed, merged, split, badly outlined, spurious, doubled."""
from dataclasses import dataclass

import numpy as np
from scipy import sparse

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
        shared: np.ndarray | sparse.sparray, pred_area: np.ndarray, gt_area: np.ndarray,
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
        shared: (P, G) pixels that a prediction and a true object have in common, sparse or not.
        pred_area: (P,) pixels.
        gt_area: (G,) pixels.
        right_type: (P,) bool, whether the class of a prediction is the image's.

    Returns:
        The kinds.
    """
    pred_area, gt_area = np.asarray(pred_area), np.asarray(gt_area)
    num_pred, num_gt = len(pred_area), len(gt_area)
    pairs = sparse.coo_array(shared)
    pred, gt = pairs.coords
    common = pairs.data
    iou = common / (pred_area[pred] + gt_area[gt] - common)
    rows, columns = match_pairs(
        sparse.coo_array((iou, pairs.coords), shape=(num_pred, num_gt)), HIT_IOU)

    holds = common > gt_area[gt] / 2
    merges = np.bincount(pred[holds], minlength=num_pred) >= 2
    inside = common > pred_area[pred] / 2
    covered = np.bincount(gt[inside], common[inside], num_gt)
    split = (np.bincount(gt[inside], minlength=num_gt) >= 2) & (covered > gt_area / 2)
    near = iou > POOR_IOU
    kinds = np.full(num_gt, GT_KINDS.index('missed'))
    kinds[gt[near]] = GT_KINDS.index('poor outline')
    kinds[split] = GT_KINDS.index('split')
    kinds[gt[holds & merges[pred]]] = GT_KINDS.index('merged')
    kinds[columns] = np.where(
        right_type[rows], GT_KINDS.index('hit'), GT_KINDS.index('wrong type'))

    involved = near | merges[pred] | (inside & split[gt])
    pred_kinds = np.full(num_pred, PRED_KINDS.index('spurious'))
    pred_kinds[pred[involved]] = PRED_KINDS.index('counterpart')
    pred_kinds[pred[iou > HIT_IOU]] = PRED_KINDS.index('duplicate')
    pred_kinds[rows] = PRED_KINDS.index('matched')
    return ErrorKinds(kinds, pred_kinds)

"""One-to-one matching of predicted and true objects: for the score, the error kinds and pictures.

A predicted and a true object may be paired if their IoU is greater than a threshold. The largest
matching pairs as many as can be, so that no pair is lost to the order of the objects or to a better
pair elsewhere.
"""
import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import maximum_bipartite_matching


def count_matches(ious: np.ndarray, iou_thrs: np.ndarray) -> np.ndarray:
    """Count the pairs of a largest one-to-one matching at each threshold.

    Where no object has two possible partners the pairs are the matching. Elsewhere, as between
    overlapping true objects, the matching of largest size is looked for.

    Args:
        ious: float (P, G), IoU of each prediction with each true object.
        iou_thrs: float (T,), a pair needs an IoU greater than the threshold.

    Returns:
        Number of pairs, int64 (T,).

    Example:
        >>> count_matches(np.array([[0.6, 0.9], [0.0, 0.8]]), np.array([0.5, 0.85]))
        array([2, 1])
    """
    iou_thrs = np.asarray(iou_thrs, float)
    matches = np.zeros(len(iou_thrs), np.int64)
    ious = np.asarray(ious, float)
    if not ious.size or not len(iou_thrs):
        return matches
    rows, columns = np.nonzero(ious > iou_thrs.min())
    values = ious[rows, columns]
    for index, threshold in enumerate(iou_thrs):
        hit = values > threshold
        matches[index] = _matching_size(rows[hit], columns[hit], ious.shape)
    return matches


def match_pairs(ious: np.ndarray, iou_thr: float) -> tuple[np.ndarray, np.ndarray]:
    """Pair predicted and true objects: as many as can be, and of these with the largest IoUs.

    Each pair weighs its IoU and a constant that no sum of IoUs reaches, so that the Hungarian
    algorithm prefers one more pair to any better ones.

    Args:
        ious: float (P, G), IoU of each prediction with each true object.
        iou_thr: a pair needs an IoU greater than this.

    Returns:
        Predictions and their partners, int64 (M,) each, by rising prediction.

    Example:
        >>> match_pairs(np.array([[0.9, 0.6], [0.6, 0.0]]), 0.5)
        (array([0, 1]), array([1, 0]))
    """
    ious = np.asarray(ious, float)
    possible = ious > iou_thr
    rows, columns = np.flatnonzero(possible.any(1)), np.flatnonzero(possible.any(0))
    weights = np.where(possible, ious + min(ious.shape) + 1, 0)[np.ix_(rows, columns)]
    row, column = linear_sum_assignment(weights, maximize=True)
    paired = weights[row, column] > 0
    return rows[row[paired]], columns[column[paired]]


def _matching_size(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, ...]) -> int:
    if not len(rows):
        return 0
    if np.bincount(rows).max() == 1 and np.bincount(columns).max() == 1:
        return len(rows)
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=shape).tocsr()
    return int((maximum_bipartite_matching(graph, perm_type='column') >= 0).sum())

"""One-to-one matching of predicted and true objects: for the score, the error kinds and pictures.

A predicted and a true object may be paired if their IoU is greater than a threshold. The largest
matching pairs as many as can be, so that no pair is lost to the order of the objects or to a better
pair elsewhere.
"""
from typing import TypeAlias

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import maximum_bipartite_matching, min_weight_full_bipartite_matching

Ious: TypeAlias = np.ndarray | sparse.sparray
"""(P, G) IoU of each prediction with each true object, sparse or not."""


def count_matches(ious: Ious, iou_thrs: np.ndarray) -> np.ndarray:
    """Count the pairs of a largest one-to-one matching at each threshold.

    Where no object has two possible partners the pairs are the matching. Elsewhere, as between
    overlapping true objects, the matching of largest size is looked for.

    Args:
        ious: float (P, G), IoU of each prediction with each true object, sparse or not.
        iou_thrs: float (T,), at least 0; a pair needs an IoU greater than the threshold.

    Returns:
        Number of pairs, int64 (T,).

    Example:
        >>> count_matches(np.array([[0.6, 0.9], [0.0, 0.8]]), np.array([0.5, 0.85]))
        array([2, 1])
    """
    iou_thrs = np.asarray(iou_thrs, float)
    matches = np.zeros(len(iou_thrs), np.int64)
    rows, columns, values = _possible_pairs(ious, iou_thrs.min(initial=1))
    for index, threshold in enumerate(iou_thrs):
        hit = values > threshold
        matches[index] = _matching_size(rows[hit], columns[hit], ious.shape)
    return matches


def match_pairs(ious: Ious, iou_thr: float) -> tuple[np.ndarray, np.ndarray]:
    """Pair predicted and true objects: as many as can be, and of these with the largest IoUs.

    Each prediction may be paired with a column of its own instead, at a cost that no sum of IoUs
    reaches, so that the cheapest full matching prefers one more pair to any better ones.

    Args:
        ious: float (P, G), IoU of each prediction with each true object, sparse or not.
        iou_thr: at least 0; a pair needs an IoU greater than this.

    Returns:
        Predictions and their partners, int64 (M,) each, by rising prediction.

    Example:
        >>> match_pairs(np.array([[0.9, 0.6], [0.6, 0.0]]), 0.5)
        (array([0, 1]), array([1, 0]))
    """
    rows, columns, values = _possible_pairs(ious, iou_thr)
    preds, row = np.unique(rows, return_inverse=True)
    truths, column = np.unique(columns, return_inverse=True)
    own = np.arange(len(preds))
    costs = np.concatenate([2 - values, np.full(len(own), len(own) + 3.0)])  # none is 0
    places = np.concatenate([row, own]), np.concatenate([column, len(truths) + own])
    graph = sparse.coo_array((costs, places), shape=(len(own), len(truths) + len(own)))
    row, column = min_weight_full_bipartite_matching(graph.tocsr())
    paired = column < len(truths)
    return preds[row[paired]], truths[column[paired]]


def _possible_pairs(ious: Ious, iou_thr: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List predictions, true objects and IoUs of the pairs above a threshold, (K,) each."""
    pairs = sparse.coo_array(ious)
    possible = pairs.data > iou_thr
    rows, columns = pairs.coords
    return rows[possible], columns[possible], pairs.data[possible]


def _matching_size(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, ...]) -> int:
    if not len(rows):
        return 0
    if np.bincount(rows).max() == 1 and np.bincount(columns).max() == 1:
        return len(rows)
    graph = sparse.coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=shape).tocsr()
    return int((maximum_bipartite_matching(graph, perm_type='column') >= 0).sum())

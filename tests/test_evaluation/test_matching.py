"""Matching against a brute-force twin."""
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from mmsart.evaluation.functional import count_matches, match_pairs

matrices = st.tuples(st.integers(0, 4), st.integers(0, 4)).flatmap(
    lambda shape: arrays(float, shape, elements=st.integers(0, 20).map(lambda k: k / 20)))


def every_matching(ious, iou_thr):
    """List all one-to-one matchings as tuples of pairs."""
    num, other = ious.shape
    for size in range(min(num, other) + 1):
        for rows in combinations(range(num), size):
            for columns in permutations(range(other), size):
                pairs = tuple(zip(rows, columns, strict=True))
                if all(ious[pair] > iou_thr for pair in pairs):
                    yield pairs


@given(matrices, st.sampled_from([0.2, 0.5, 0.75]))
def test_as_many_pairs_as_can_be_and_the_best_of_these(ious, iou_thr):
    largest = max(len(pairs) for pairs in every_matching(ious, iou_thr))
    best = max(sum(ious[pair] for pair in pairs) for pairs in every_matching(ious, iou_thr)
               if len(pairs) == largest)
    rows, columns = match_pairs(ious, iou_thr)
    assert len(rows) == len(set(rows)) == len(set(columns)) == largest
    assert (ious[rows, columns] > iou_thr).all()
    assert ious[rows, columns].sum() == pytest.approx(best)
    assert (np.diff(rows) > 0).all()
    assert count_matches(ious, np.array([iou_thr])).tolist() == [largest]
    few = sparse.csr_array(ious)
    assert count_matches(few, np.array([iou_thr])).tolist() == [largest]
    np.testing.assert_array_equal(match_pairs(few, iou_thr), [rows, columns])


def test_an_iou_at_the_threshold_is_no_pair():
    assert len(match_pairs(np.array([[0.5]]), 0.5)[0]) == 0
    assert len(match_pairs(np.array([[0.5001]]), 0.5)[0]) == 1

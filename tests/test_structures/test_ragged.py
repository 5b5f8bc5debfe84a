import numpy as np

from mmsart.structures.mask.ragged import ragged_arange


def test_ragged_arange_restarts_in_each_group():
    assert ragged_arange(np.array([2, 0, 3])).tolist() == [0, 1, 0, 1, 2]

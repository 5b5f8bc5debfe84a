"""Arithmetic on groups of unequal size that lie one after another in a flat array."""
import numpy as np


def exclusive_cumsum(counts: np.ndarray) -> np.ndarray:
    """Sum up counts, from 0 to the total.

    Args:
        counts: int (N,).

    Returns:
        int64 (N + 1,), where each group begins, and the end of the last.
    """
    total = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=total[1:])
    return total


def ragged_arange(counts: np.ndarray) -> np.ndarray:
    """Count from 0 inside each of several groups.

    Args:
        counts: int (N,), sizes of the groups.

    Returns:
        int64 (sum of counts,).

    Example:
        >>> ragged_arange(np.array([2, 0, 3]))
        array([0, 1, 0, 1, 2])
    """
    begins = exclusive_cumsum(counts)
    return np.arange(begins[-1]) - np.repeat(begins[:-1], counts)

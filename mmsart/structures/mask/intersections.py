"""Pixels that masks share, from the pixels inside their boxes or from their runs alone."""
import numpy as np
from scipy import sparse

from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.ragged import exclusive_cumsum, ragged_arange
from mmsart.structures.mask.runs import Runs


def pixel_incidence(masks: PatchMasks) -> sparse.csr_array:
    """List the pixels of each instance as a sparse matrix.

    Args:
        masks: N instances in an image of H x W.

    Returns:
        (N, H * W) int32 of ones: row i holds the row-major pixel numbers of instance i.
    """
    _, y, x = masks.pixels()
    shape = (len(masks), masks.height * masks.width)
    return sparse.csr_array((np.ones(len(x), np.int32), y * masks.width + x,
                             exclusive_cumsum(masks.areas)), shape=shape)


def intersections(masks: PatchMasks, others: PatchMasks) -> sparse.csr_array:
    """Count the pixels that two sets of instances share.

    The cost follows the masks' areas and how deep they lie over each other.

    Args:
        masks: N instances.
        others: M instances in the same image.

    Returns:
        (N, M) int32, sparse.
    """
    return sparse.csr_array(pixel_incidence(masks) @ pixel_incidence(others).T)


def run_intersections(runs: Runs, others: Runs) -> sparse.coo_array:
    """Count the pixels that two sets of masks share, whatever the size of their image.

    Two runs meet if one begins inside the other, so that the pairs are found by looking up the
    begins of one set among the sorted begins of the other. Time and memory follow the number of
    runs and of pairs that meet.

    Args:
        runs: N masks.
        others: M masks of the same image.

    Returns:
        (N, M) int64, sparse, with an entry where they share any, row by row.
    """
    mine, theirs = _pairs_begun_inside(runs, others, including_equal=True)
    inner, outer = _pairs_begun_inside(others, runs, including_equal=False)
    mine, theirs = np.concatenate([mine, outer]), np.concatenate([theirs, inner])
    begin = np.maximum(runs.starts[mine], others.starts[theirs])
    end = np.minimum(runs.starts[mine] + runs.lengths[mine],
                     others.starts[theirs] + others.lengths[theirs])
    pairs = runs.owners[mine] * len(others) + others.owners[theirs]
    order = np.argsort(pairs)
    pairs = pairs[order]
    first = np.flatnonzero(np.diff(pairs, prepend=-1))
    shared = np.add.reduceat((end - begin)[order], first) if len(first) else end
    return sparse.coo_array((shared, np.divmod(pairs[first], max(len(others), 1))),
                            shape=(len(runs), len(others)))


def mask_ious(runs: Runs, others: Runs) -> sparse.coo_array:
    """Compute the IoU of the pairs of two sets of masks that meet.

    Args:
        runs: N masks.
        others: M masks of the same image.

    Returns:
        (N, M) float64, sparse, with an entry where they share pixels, row by row.
    """
    shared = run_intersections(runs, others)
    row, column = shared.coords
    union = runs.areas[row] + others.areas[column] - shared.data
    return sparse.coo_array((shared.data / union, shared.coords), shape=shared.shape)


def _pairs_begun_inside(
        runs: Runs, others: Runs, including_equal: bool) -> tuple[np.ndarray, np.ndarray]:
    """List the pairs of a run and another one that begins inside it, int64 (K,) positions each.

    Args:
        runs: the outer ones.
        others: those that begin inside.
        including_equal: whether one that begins at the very same pixel counts.
    """
    order = np.argsort(others.starts)
    begins = others.starts[order]
    low = np.searchsorted(begins, runs.starts, side='left' if including_equal else 'right')
    high = np.searchsorted(begins, runs.starts + runs.lengths, side='left')
    counts = np.maximum(high - low, 0)
    mine = np.repeat(np.arange(len(counts)), counts)
    return mine, order[low[mine] + ragged_arange(counts)]

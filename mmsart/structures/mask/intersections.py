"""Pixels that masks share, from the pixels inside their boxes alone."""
import numpy as np
from scipy import sparse

from mmsart.structures.mask.patch_masks import PatchMasks


def pixel_incidence(masks: PatchMasks) -> sparse.csr_array:
    """List the pixels of each instance as a sparse matrix.

    Args:
        masks: N instances in an image of H x W.

    Returns:
        (N, H * W) int32 of ones: row i holds the row-major pixel numbers of instance i.
    """
    at = np.flatnonzero(masks.data)
    splits = np.searchsorted(at, masks.offsets)
    owner = np.repeat(np.arange(len(masks)), np.diff(splits))
    boxes = masks.boxes.astype(np.int64)
    row, column = np.divmod(at - masks.offsets[owner], (boxes[:, 2] - boxes[:, 0])[owner])
    pixels = (row + boxes[owner, 1]) * masks.width + column + boxes[owner, 0]
    shape = (len(masks), masks.height * masks.width)
    return sparse.csr_array((np.ones(len(at), np.int32), pixels, splits), shape=shape)


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

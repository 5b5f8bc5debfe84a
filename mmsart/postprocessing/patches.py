"""Operations on masks that touch only the pixels inside each mask's own box."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from mmsart.structures.mask.cropped_masks import CroppedMasks


def split_patches(masks: CroppedMasks) -> list[np.ndarray]:
    """Give each instance's patch as a view.

    Args:
        masks: N instances.

    Returns:
        N arrays (h_i, w_i) uint8 of 0 and 1.
    """
    ends = masks.offsets.tolist()
    return [
        masks.data[start:end].reshape(y2 - y1, x2 - x1)
        for start, end, (x1, y1, x2, y2) in zip(
            ends[:-1], ends[1:], masks.boxes.tolist(), strict=True)]


def join_patches(
        patches: Sequence[np.ndarray], boxes: np.ndarray, like: CroppedMasks) -> CroppedMasks:
    """Build masks from patches.

    Args:
        patches: N arrays (h_i, w_i) uint8 of 0 and 1.
        boxes: (N, 4) half-open xyxy pixel boxes, as large as the patches.
        like: masks of the same image, for its size and the class to make.

    Returns:
        N instances. Boxes are kept as they are, also where a patch has an empty margin.
    """
    data = (np.concatenate([patch.reshape(-1) for patch in patches]) if len(patches)
            else np.zeros(0, np.uint8))
    boxes = np.asarray(boxes, np.int32).reshape(-1, 4)
    return type(like)(data.astype(np.uint8, copy=False), boxes, like.height, like.width)


def fill_patch(patch: np.ndarray) -> np.ndarray:
    """Fill the holes of a mask: background that is cut off (4-connected) from the outside.

    Args:
        patch: (h, w) uint8 of 0 and 1.

    Returns:
        (h, w) uint8 of 0 and 1.
    """
    height, width = patch.shape
    padded = np.zeros((height + 2, width + 2), np.uint8)
    padded[1:-1, 1:-1] = patch
    cv2.floodFill(padded, None, (0, 0), 2, flags=4)
    return (padded[1:-1, 1:-1] != 2).astype(np.uint8)


def largest_piece(patch: np.ndarray) -> np.ndarray:
    """Keep the largest 8-connected piece of a mask; of equal ones, the first in row order.

    Args:
        patch: (h, w) uint8 of 0 and 1.

    Returns:
        (h, w) uint8 of 0 and 1; the input itself where it has one piece at most.
    """
    count, numbered = cv2.connectedComponents(patch, connectivity=8)
    if count <= 2:
        return patch
    pieces = np.asarray(numbered)
    areas = np.bincount(pieces.reshape(-1), minlength=count)[1:]
    best = np.flatnonzero(areas == areas.max()) + 1
    # OpenCV numbers pieces in an order of its own; of equal ones the first pixel decides.
    chosen = best[0] if len(best) == 1 else pieces[np.isin(pieces, best)][0]
    return (pieces == chosen).astype(np.uint8)


def count_pieces(patch: np.ndarray) -> int:
    """Count the 8-connected pieces of a (h, w) uint8 mask."""
    return cv2.connectedComponents(patch, connectivity=8)[0] - 1


def pixel_incidence(masks: CroppedMasks) -> sparse.csr_array:
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


def intersections(masks: CroppedMasks, others: CroppedMasks) -> sparse.csr_array:
    """Count the pixels that two sets of instances share.

    The cost follows the masks' areas and how deep they lie over each other.

    Args:
        masks: N instances.
        others: M instances in the same image.

    Returns:
        (N, M) int32, sparse.
    """
    return sparse.csr_array(pixel_incidence(masks) @ pixel_incidence(others).T)

"""Holes and pieces of a single mask, inside its own box."""
import cv2
import numpy as np


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
    cv2.floodFill(padded, None, (0, 0), (2,), flags=4)
    return (padded[1:-1, 1:-1] != 2).astype(np.uint8)


def largest_piece(patch: np.ndarray, connectivity: int = 8) -> np.ndarray:
    """Keep the largest connected piece of a mask; of equal ones, the first in row order.

    Args:
        patch: (h, w) uint8 of 0 and 1.
        connectivity: 4 or 8; whether pixels that touch by a corner are of one piece.

    Returns:
        (h, w) uint8 of 0 and 1; the input itself where it has one piece at most.
    """
    if not patch.size:  # OpenCV ends the process
        return patch
    count, numbered = cv2.connectedComponents(patch, connectivity=connectivity)
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
    return cv2.connectedComponents(patch, connectivity=8)[0] - 1 if patch.size else 0

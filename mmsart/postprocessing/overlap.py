"""One owner for each pixel, and one detection for each object."""
import numpy as np

from mmsart.structures.mask.intersections import intersections
from mmsart.structures.mask.morphology import count_pieces, largest_piece
from mmsart.structures.mask.patch_masks import PatchMasks


def score_order(scores: np.ndarray) -> np.ndarray:
    """Order detections by falling score; equal ones stay in their order.

    Args:
        scores: (N,) float.

    Returns:
        (N,) int64 positions.
    """
    return np.argsort(-np.asarray(scores), kind='stable')


def mask_nms(masks: PatchMasks, scores: np.ndarray, iou_thrs: np.ndarray) -> np.ndarray:
    """Suppress masks that lie too much on a better one.

    Greedy and class-blind: a detection is dropped if its IoU with a kept detection of a higher
    score is greater than the threshold of its own class.

    Args:
        masks: N instances.
        scores: (N,) float.
        iou_thrs: (N,) float; infinity keeps a detection in any case.

    Returns:
        (M,) int64 positions of the kept ones, by falling score.
    """
    order = score_order(scores)
    shared = intersections(masks, masks).tocoo()
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    areas = masks.areas
    row, column = shared.coords
    iou = shared.data / (areas[row] + areas[column] - shared.data)
    clash = (rank[column] < rank[row]) & (iou > iou_thrs[row])
    worse, better = rank[row[clash]], rank[column[clash]]
    by_rank = np.argsort(worse, kind='stable')
    alive = [True] * len(order)
    for low, high in zip(worse[by_rank].tolist(), better[by_rank].tolist(), strict=True):
        if alive[high]:  # its own fate is settled: all its pairs come earlier
            alive[low] = False
    return order[np.array(alive, bool)]


def remove_overlap(
        masks: PatchMasks, scores: np.ndarray, max_lost_share: np.ndarray, min_area: np.ndarray,
        pieces: list[str]) -> tuple[PatchMasks, np.ndarray]:
    """Assign each pixel to the detection with the highest score.

    Masks are painted by falling score, each only where nothing is painted yet. A mask that is
    left with no pixel, with less than its least area, or that loses more than its share, is
    dropped and paints nothing. One that falls into more pieces than it had is kept, cut down
    to its largest piece (which must again pass both tests) or dropped. The canvas is one byte a
    pixel, and each mask touches only its own box of it.

    Args:
        masks: N instances.
        scores: (N,) float.
        max_lost_share: (N,) float in [0, 1], the share of its pixels that a mask may lose.
        min_area: (N,) the least area in pixels.
        pieces: N of 'keep', 'largest' or 'drop'.

    Returns:
        M disjoint instances by falling score, and (M,) int64 their positions in the input.
    """
    patches, boxes = masks.patches(), masks.boxes.tolist()
    areas = masks.areas
    most_lost = np.minimum(
        largest_loss(max_lost_share, areas), areas - np.maximum(min_area, 1)).tolist()
    canvas = np.zeros((masks.height, masks.width), np.uint8)
    kept, left = [], []
    for i in score_order(scores).tolist():
        if most_lost[i] < 0:
            continue
        x1, y1, x2, y2 = boxes[i]
        below = canvas[y1:y2, x1:x2]
        patch = patches[i]
        hidden = patch & below
        lost = np.count_nonzero(hidden)
        if lost > most_lost[i]:
            continue
        if lost:
            uncovered = uncover(patch, hidden, most_lost[i], pieces[i])
            if uncovered is None:
                continue
            patch = uncovered
        below |= patch
        kept.append(i)
        left.append(patch)
    index = np.array(kept, np.int64)
    return masks.from_patches(left, masks.boxes[index], masks.height, masks.width), index


def largest_loss(share: np.ndarray | float, areas: np.ndarray) -> np.ndarray:
    """Return the most pixels that masks may lose, whole ones: 29 of 100 at a share of 0.29.

    The plain product is a little less there, 28.999999999999996.
    """
    return np.floor(share * areas + 1e-6)


def uncover(
        patch: np.ndarray, hidden: np.ndarray, most_lost: float, pieces: str) -> np.ndarray | None:
    """Take the hidden pixels from a patch.

    Args:
        patch: uint8 (h, w) of 0 and 1.
        hidden: those of its pixels that belong to better masks, the same.
        most_lost: pixels that it may lose.
        pieces: what becomes of one that falls into more pieces, see :func:`remove_overlap`.

    Returns:
        What is left; None if it is dropped.
    """
    rest = patch ^ hidden
    if pieces == 'keep' or count_pieces(rest) <= count_pieces(patch):
        return rest
    if pieces == 'drop':
        return None
    piece = largest_piece(rest)
    return piece if np.count_nonzero(patch) - np.count_nonzero(piece) <= most_lost else None

"""Non-maximum suppression: the same boxes as mmcv's compiled operators, ties included.

Overlaps are computed in float32 in mmcv's order of operations, so that a box at the very threshold
falls on the same side. `scores.sort` settles ties, here as there. Boxes of a GPU are compared on
the CPU: they are few numbers, and the loop over the best of them is what takes the time.
"""
import numpy as np
import torch
from torch import Tensor

from mmsart.ops.checks import widened

BLOCK = 256  # boxes that are compared with all others at once
CHUNK = 250_000  # overlaps at once: 1 MB, which stays in the processor's cache
SCORE = 5  # row of the table of soft NMS; x1, y1, x2, y2 and the area come before


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Keep the boxes that overlap with no better one that is kept.

    Args:
        boxes: xyxy in pixels, float32 or half precision (N, 4).
        scores: float32 or half precision (N,).
        iou_threshold: a box goes if its IoU with a kept one is greater.
        offset: 1 if x2 and y2 are the last pixels of a box, 0 if they are its border.

    Returns:
        Indices of the kept boxes, best first, int64.

    Raises:
        RuntimeError: they are of another dtype.
    """
    boxes, scores = widened('nms', boxes, scores)
    # a GPU sorts equal scores in another order
    order = scores.detach().cpu().sort(0, descending=True)[1].numpy()
    waiting = _box_table(boxes, offset)[:, order]
    indices = order
    kept = [order[:0]]
    threshold = np.float32(iou_threshold)
    while len(indices):
        block, waiting = waiting[:, :BLOCK], waiting[:, BLOCK:]
        survivors = _survivors(_iou(block, block, offset) > threshold)
        kept.append(indices[:BLOCK][survivors])
        free = _free_of(block[:, survivors], waiting, offset, threshold)
        waiting, indices = waiting[:, free], indices[BLOCK:][free]
    return torch.from_numpy(np.concatenate(kept)).to(boxes.device)


def softnms(boxes: Tensor, scores: Tensor, dets: Tensor, iou_threshold: float, sigma: float,
            min_score: float, method: int, offset: int) -> Tensor:
    """Lower the scores of boxes by their overlaps with better ones (Bodla et al., Soft-NMS, 2017).

    Args:
        boxes: xyxy in pixels, float32 or half precision (N, 4).
        scores: float32 or half precision (N,).
        dets: float32 or half precision (N, 5), filled with the boxes and new scores of those that
            stay, best first.
        iou_threshold: overlap from which on methods 0 and 1 act.
        sigma: width of the Gaussian of method 2.
        min_score: boxes below it go.
        method: 0 naive, removes; 1 linear, multiplies by 1 - IoU; 2 Gaussian, by exp(-IoU² / σ).
        offset: 1 if x2 and y2 are the last pixels of a box, 0 if they are its border.

    Returns:
        Indices of the boxes that stay, as in ``dets``, int64.

    Raises:
        RuntimeError: they are of another dtype.
    """
    boxes, scores, wide = widened('softnms', boxes, scores, dets)
    table = np.concatenate([_box_table(boxes, offset), scores.detach().numpy()[None]])
    indices = np.arange(len(boxes))
    out = wide.numpy()
    count, i = len(boxes), 0
    while i < count:
        best = i + _best(table[SCORE, i:count])
        table[:, [i, best]], indices[[i, best]] = table[:, [best, i]], indices[[best, i]]
        out[i] = table[[0, 1, 2, 3, SCORE], i]
        rest = table[:, i + 1:count]
        rest[SCORE] *= _decay(_iou(table[:, i:i + 1], rest, offset)[0], np.float32(iou_threshold),
                              np.float32(sigma), method)
        count = _drop_below(np.float32(min_score), table, indices, i + 1, count)
        i += 1
    dets.copy_(wide)
    return torch.from_numpy(indices[:count].copy())


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Group boxes by the kept one that suppresses them.

    Args:
        dets: x1, y1, x2, y2 and score, float32 or half precision (N, 5).
        iou_threshold: a box belongs to a better one if their IoU is at least that.

    Returns:
        For each kept box, best first, its index and those of the boxes that it suppresses.

    Raises:
        RuntimeError: it is of another dtype.
    """
    dets, = widened('nms_match', dets)
    order = dets[:, 4].detach().sort(0, descending=True)[1].numpy()
    table = _box_table(dets[:, :4], 0)[:, order]
    alive = np.ones(len(order), dtype=bool)
    groups = []
    for i in range(len(order)):
        if alive[i]:
            over = alive[i + 1:] & (
                _iou(table[:, i:i + 1], table[:, i + 1:], 0)[0] >= np.float32(iou_threshold))
            alive[i + 1:] &= ~over
            groups.append([int(order[i]), *order[i + 1:][over].tolist()])
    return groups


def _box_table(boxes: Tensor, offset: int) -> np.ndarray:
    """Return x1, y1, x2, y2 and the area of boxes (N, 4) as float32 rows, (5, N)."""
    x1, y1, x2, y2 = boxes.detach().cpu().numpy().T
    extra = np.float32(offset)
    return np.stack([x1, y1, x2, y2, (x2 - x1 + extra) * (y2 - y1 + extra)])


def _iou(these: np.ndarray, others: np.ndarray, offset: int) -> np.ndarray:
    """Compute the IoU of boxes with others, both as tables, (N, M); two empty boxes give NaN."""
    x1, y1, x2, y2, areas = (row[:, None] for row in these[:5])
    extra = np.float32(offset)
    # in place: fresh memory for each step would take twice the time
    inter = np.minimum(x2, others[2])
    inter -= np.maximum(x1, others[0])
    inter += extra
    height = np.minimum(y2, others[3])
    height -= np.maximum(y1, others[1])
    height += extra
    np.maximum(inter, 0, out=inter)
    np.maximum(height, 0, out=height)
    inter *= height
    union = areas + others[4]
    union -= inter
    with np.errstate(divide='ignore', invalid='ignore'):
        inter /= union
    return inter


def _survivors(over: np.ndarray) -> np.ndarray:
    """Go through a block of boxes, best first, where ``over[i, j]`` says that i suppresses j."""
    keep = np.ones(len(over), dtype=bool)
    for i in range(len(over)):
        if keep[i]:
            keep[i + 1:] &= ~over[i, i + 1:]
    return keep


def _free_of(kept: np.ndarray, waiting: np.ndarray, offset: int,
             threshold: np.float32) -> np.ndarray:
    """Return which of the waiting boxes no kept one suppresses, bool (M,)."""
    free = np.empty(waiting.shape[1], dtype=bool)
    step = CHUNK // kept.shape[1]
    for at in range(0, len(free), step):
        over = _iou(kept, waiting[:, at:at + step], offset) > threshold
        free[at:at + step] = ~over.any(axis=0)
    return free


def _decay(iou: np.ndarray, threshold: np.float32, sigma: np.float32, method: int) -> np.ndarray:
    """Return the factors by which soft NMS lowers scores."""
    if method == 2:
        # float64 rounds as the C library's expf does; numpy's own for float32 is off by a bit
        return np.exp((-(iou * iou) / sigma).astype(np.float64)).astype(np.float32)
    lowered = 1 - iou if method == 1 else np.float32(0)
    return np.where(iou >= threshold, lowered, np.float32(1))


def _best(scores: np.ndarray) -> int:
    """Find the greatest score as a loop of ``<`` does: a NaN wins only where it comes first."""
    return 0 if np.isnan(scores[0]) else int(np.nanargmax(scores))


def _drop_below(least: np.float32, table: np.ndarray, indices: np.ndarray, begin: int,
                count: int) -> int:
    """Remove low scores from ``begin`` on, the last box taking each freed place, as in mmcv.

    The places decide between equal scores later on, so they have to be mmcv's.
    """
    for at in np.flatnonzero(table[SCORE, begin:count] < least) + begin:
        while at < count and table[SCORE, at] < least:
            count -= 1
            table[:, at], indices[at] = table[:, count], indices[count]
    return count

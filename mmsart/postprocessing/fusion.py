"""From what several models say of an image to one answer."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmsart.postprocessing.overlap import score_order
from mmsart.structures.detections import Detections
from mmsart.structures.mask.intersections import mask_ious
from mmsart.structures.mask.patch_masks import PatchMasks

if TYPE_CHECKING:
    from torch import Tensor

FUSE_IOU = 0.5
MASK_THR = 0.5
"""At which fused masks are cut; post-processing's `mask_thr` cuts them anew."""


def fuse_detections(members: Sequence[Detections], weights: Sequence[float] | None = None,
                    iou_thr: float = FUSE_IOU,
                    mask_thr: float | Sequence[float] = MASK_THR) -> Detections:
    """Fuse the detections of several models, or of one in several views.

    Before any post-processing.

    Weighted boxes fusion (Solovyev, Wang and Gabruseva, 2021) with masks in the place of boxes.
    Detections of one class are clustered, the surest first: each joins, of the clusters that hold
    none of its own model, the one whose first mask it overlaps most, at an IoU above the threshold,
    or begins a new one. Of a cluster

    - the score is the weighted mean over all models, with 0 for those that found nothing there;
    - the mask's probabilities are the mean of those models that found it, weighted by their
      scores, on the grid of the smallest box that holds all of their boxes; where a member has no
      soft masks, the pixels stay that at least half of this weight has.

    Args:
        members: what each model found in the same image.
        weights: of the models, above 0; None for equal ones.
        iou_thr: in [0, 1).
        mask_thr: at which probabilities are cut, one number or one per class.

    Returns:
        The clusters, by falling score; with ``mask_probs`` on the largest of the members' grids if
        all have them.
    """
    shares = np.ones(len(members)) if weights is None else np.asarray(weights, float)
    assert len(shares) == len(members) > 0, f'{len(members)} models, {len(shares)} weights'
    assert (shares > 0).all(), f'expected weights above 0, found {weights}'
    owners = np.repeat(np.arange(len(members)), [len(member) for member in members])
    joined = Detections.cat(members)
    order = np.lexsort((owners, -joined.scores * shares[owners]))
    clusters = _cluster(joined, owners, order, iou_thr)
    factors = shares[owners] * joined.scores
    scores = np.bincount(clusters, factors, clusters.max(initial=-1) + 1) / shares.sum()
    boxes = _enclosing(joined.bboxes, clusters, len(scores))
    seeds = np.unique(clusters[order], return_index=True)[1]  # clusters are numbered by their first
    labels = joined.labels[order[seeds]]
    factors = np.maximum(factors, np.finfo(np.float32).tiny)  # a cluster may have none but 0
    if any(member.mask_probs is None for member in members):
        probs, masks = None, _vote(joined.masks, clusters, factors, len(scores))
    else:
        probs = _mean_probs(members, boxes[clusters], clusters, factors, len(scores))
        masks = _paste(probs, boxes, joined.masks, np.asarray(mask_thr)[..., labels]
                       if np.ndim(mask_thr) else np.full(len(labels), mask_thr))
    fused = Detections(scores, labels, masks, boxes, members[0].img_id, probs)
    return fused[score_order(fused.scores)]


def _cluster(found: Detections, owners: np.ndarray, order: np.ndarray,
             iou_thr: float) -> np.ndarray:
    """Number the clusters by their first detections; see :func:`fuse_detections`.

    Args:
        found: N detections of all models.
        owners: int (N,), the model of each.
        order: int (N,), the surest first.
        iou_thr: in [0, 1).

    Returns:
        int64 (N,), the cluster of each detection.
    """
    clusters = np.full(len(found), -1)
    pairs = _overlapping_pairs(found, owners, iou_thr)
    count = 0
    taken: list[set[int]] = []  # models of each cluster
    numbers: dict[int, int] = {}  # clusters by their first detection
    for index in order.tolist():
        owner = int(owners[index])
        for other in pairs[index]:
            number = numbers.get(other)
            if number is not None and owner not in taken[number]:
                clusters[index] = number
                taken[number].add(owner)
                break
        else:
            clusters[index] = numbers[index] = count
            taken.append({owner})
            count += 1
    return clusters


def _overlapping_pairs(found: Detections, owners: np.ndarray, iou_thr: float) -> list[list[int]]:
    """List for each detection those of other models and its class that overlap, the best first."""
    pairs: list[list[int]] = [[] for _ in range(len(found))]
    runs = found.masks.to_runs()
    keys = found.labels * (owners.max(initial=0) + 1) + owners
    groups = [np.flatnonzero(keys == key) for key in np.unique(keys)]
    for mine in groups:
        others = np.flatnonzero(
            (found.labels == found.labels[mine[0]]) & (owners != owners[mine[0]]))
        if not len(others):
            continue
        ious = mask_ious(runs.select(mine), runs.select(others))
        near = ious.data > iou_thr
        (row, column), iou = (each[near] for each in ious.coords), ious.data[near]
        best = others[column[np.lexsort((column, -iou, row))]]
        begins = np.searchsorted(row, np.arange(1, len(mine)))
        for index, partners in zip(mine.tolist(), np.split(best, begins), strict=True):
            pairs[index] = partners.tolist()
    return pairs


def _enclosing(boxes: np.ndarray, clusters: np.ndarray, count: int) -> np.ndarray:
    """Return the smallest box around those of each cluster, float32 (count, 4)."""
    low = np.full((count, 2), np.inf, np.float32)
    high = np.full((count, 2), -np.inf, np.float32)
    np.minimum.at(low, clusters, boxes[:, :2])
    np.maximum.at(high, clusters, boxes[:, 2:])
    return np.hstack([low, high])


def _mean_probs(members: Sequence[Detections], frames: np.ndarray, clusters: np.ndarray,
                factors: np.ndarray, count: int) -> np.ndarray:
    """Average soft masks on the grid of their cluster's box.

    Args:
        members: of M models, N detections in all.
        frames: float32 (N, 4), xyxy, the box of each detection's cluster.
        clusters: int64 (N,).
        factors: float (N,), weight of each detection, above 0.
        count: number of clusters.

    Returns:
        float32 (count, S, S).
    """
    import torch  # tools do without

    size = max(member.mask_probs.shape[-1] for member in members if member.mask_probs is not None)
    moved = []
    begin = 0
    for member in members:
        end = begin + len(member)
        moved.append(_resample(
            torch.from_numpy(np.asarray(member.mask_probs, np.float32)),
            torch.from_numpy(member.bboxes), torch.from_numpy(frames[begin:end]), size))
        begin = end
    at = torch.from_numpy(clusters)
    weights = torch.from_numpy(factors).float()
    total = torch.zeros(count).index_add_(0, at, weights)
    shares = (weights / total[at])[:, None, None]
    probs = torch.zeros(count, size, size).index_add_(0, at, torch.cat(moved) * shares)
    return probs.clamp(0, 1).numpy()


def _resample(probs: Tensor, boxes: Tensor, frames: Tensor, size: int) -> Tensor:
    """Interpolate soft masks on the grids of other boxes, with zeros around, as pasting does.

    Args:
        probs: float (n, s, s), on the grids of `boxes`.
        boxes: float (n, 4), xyxy.
        frames: float (n, 4), xyxy, of the new grids.
        size: cells of a side of the new grids.

    Returns:
        float (n, size, size).
    """
    import torch
    import torch.nn.functional as F

    steps = (torch.arange(size) + 0.5) / size
    axes = []
    for axis in (0, 1):
        begin, end = boxes[:, axis, None], boxes[:, axis + 2, None]
        low, high = frames[:, axis, None], frames[:, axis + 2, None]
        places = low + steps * (high - low)
        axes.append((places - begin) / (end - begin).clamp(min=1e-6) * 2 - 1)
    x, y = axes
    grid = torch.stack([x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], -1)
    return F.grid_sample(probs[:, None], grid, align_corners=False)[:, 0]


def _vote(masks: PatchMasks, clusters: np.ndarray, factors: np.ndarray, count: int) -> PatchMasks:
    """Keep the pixels that at least half of a cluster's weight has.

    Args:
        masks: N masks.
        clusters: int64 (N,), the cluster of each.
        factors: float (N,), weight of each, above 0.
        count: number of clusters.

    Returns:
        `count` masks.
    """
    patches, boxes = masks.patches(), np.zeros((count, 4), np.int32)
    voted = []
    for number in range(count):
        voters = np.flatnonzero(clusters == number)
        frames = masks.boxes[voters]
        x1, y1, x2, y2 = boxes[number] = [*frames[:, :2].min(0), *frames[:, 2:].max(0)]
        votes = np.zeros((y2 - y1, x2 - x1))
        for voter, (left, top, right, bottom) in zip(voters, frames, strict=True):
            votes[top - y1:bottom - y1, left - x1:right - x1] += factors[voter] * patches[voter]
        voted.append((2 * votes >= factors[voters].sum()).astype(np.uint8))
    return masks.from_patches(voted, boxes, masks.height, masks.width).tighten()


def _paste(probs: np.ndarray, boxes: np.ndarray, like: PatchMasks,
           thrs: np.ndarray) -> PatchMasks:
    import torch

    from mmsart.structures.mask.paste import paste_masks

    return paste_masks(torch.from_numpy(probs), torch.from_numpy(boxes),
                       (like.height, like.width), torch.from_numpy(thrs).float())

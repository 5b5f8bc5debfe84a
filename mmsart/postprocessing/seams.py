"""The cells of an image from those of its tiles."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.patches import Box

CORE_SLACK = 16
"""Pixels by which a cell's centre may lie outside the core. Two tiles see a cell a little
differently; with none, each could take it for the other's."""

SAME_IOU = 0.5
"""Above this, two cells that two tiles see are one."""


@dataclass(frozen=True)
class TilePart:
    """The cells that one tile answers for, in the frame of the whole image.

    Attributes:
        box: of the tile, half-open xyxy.
        detections: its cells.
        cut: bool (N,), whether the edge of the tile cuts the cell, where the image goes on.
    """

    box: Box
    detections: Detections
    cut: np.ndarray

    def __len__(self) -> int:
        return len(self.detections)


def take_core(detections: Detections, box: Box, core: Box, size: tuple[int, int]) -> TilePart:
    """Keep the cells of a tile whose centre lies in its core, and move them to their place.

    Args:
        detections: final cells, in the frame of the tile.
        box: where the tile lies in the image, half-open xyxy.
        core: the part of the image that it answers for, half-open xyxy.
        size: (h, w) of the image.

    Returns:
        The cells of which the centre of the box lies in the core or at most :data:`CORE_SLACK`
        pixels beside it.
    """
    left, top, right, bottom = box
    masks = detections.masks.tighten()
    shift = np.array([left, top, left, top])
    boxes = masks.boxes + shift.astype(np.int32)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = in_core(centres, core, CORE_SLACK)
    height, width = size
    inner = np.array([left > 0, top > 0, right < width, bottom < height])
    cut = ((boxes == np.array(box)) & inner).any(1)
    moved = replace(
        detections, masks=PatchMasks(masks.data, boxes, height, width),
        bboxes=detections.bboxes + shift.astype(np.float32), mask_probs=None)
    return TilePart(box, moved[inside], cut[inside])


def in_core(centres: np.ndarray, core: Box | np.ndarray, slack: float = 0) -> np.ndarray:
    """Tell which points lie in the core of a tile.

    Args:
        centres: (N, 2) of x and y in the image.
        core: half-open xyxy, one for all or (N, 4).
        slack: pixels by which they may lie outside.

    Returns:
        bool (N,).
    """
    core = np.asarray(core)
    return np.all((centres >= core[..., :2] - slack)
                  & (centres <= core[..., 2:] + slack), axis=1)


def join_parts(parts: Sequence[TilePart], img_id: str) -> Detections:
    """Put the cells of all tiles together, each once.

    Cells of two tiles are one if their IoU is above one half in the stretch that both tiles see.
    Of one cell the best that no tile's edge cuts is kept; if all are cut, their union is.
    Everything happens on patches, between neighbours.

    Args:
        parts: one for each tile.
        img_id: of the image.

    Returns:
        The cells, by falling score. Different ones may still share pixels.
    """
    ends = np.cumsum([0, *map(len, parts)])
    joined = Detections.cat([part.detections for part in parts], img_id)
    pairs = [(first + begins[0], second + begins[1])
             for (i, j) in _neighbours(parts) for begins in [(ends[i], ends[j])]
             for first, second in _same_cells(parts[i], parts[j])]
    if pairs:
        cut = np.concatenate([part.cut for part in parts])
        joined, _ = unite_cells(joined, cut, np.array(pairs))
    return joined[np.argsort(-joined.scores, kind='stable')]


def _neighbours(parts: Sequence[TilePart]) -> Iterable[tuple[int, int]]:
    """List the pairs of tiles that share pixels."""
    boxes = np.array([part.box for part in parts])
    shared = boxes_meet(boxes, boxes)
    return np.argwhere(np.triu(shared, 1)).tolist()


def boxes_meet(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Tell which boxes share a pixel.

    Args:
        boxes: int (N, 4), half-open xyxy.
        others: int (M, 4), the same.

    Returns:
        bool (N, M).
    """
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return (low < high).all(-1)


def _same_cells(part: TilePart, other: TilePart) -> Iterable[tuple[int, int]]:
    """List the pairs of cells of two tiles that are one cell."""
    zone = (*np.maximum(part.box[:2], other.box[:2]).tolist(),
            *np.minimum(part.box[2:], other.box[2:]).tolist())
    masks, other_masks = part.detections.masks, other.detections.masks
    near = [np.flatnonzero(boxes_meet(each.boxes, np.array([zone]))[:, 0])
            for each in (masks, other_masks)]
    meeting = np.argwhere(boxes_meet(masks.boxes[near[0]], other_masks.boxes[near[1]]))
    for i, j in meeting.tolist():
        first, second = int(near[0][i]), int(near[1][j])
        if zone_iou(masks.patch(first), masks.boxes[first].tolist(), other_masks.patch(second),
                    other_masks.boxes[second].tolist(), zone) > SAME_IOU:
            yield first, second


def zone_iou(patch: np.ndarray, box: Sequence[int], other: np.ndarray, other_box: Sequence[int],
             zone: Box) -> float:
    """Compute the IoU of two masks within a box that their boxes reach into.

    Args:
        patch: uint8 (h, w) of 0 and 1.
        box: where it lies, half-open xyxy.
        other: the other mask.
        other_box: where that lies.
        zone: half-open xyxy.
    """
    views = [_view(patch, box, zone), _view(other, other_box, zone)]
    low = [max(box[k], other_box[k], zone[k]) for k in (0, 1)]
    high = [min(box[k], other_box[k], zone[k]) for k in (2, 3)]
    shared = int(np.count_nonzero(
        _view(patch, box, (*low, *high)) & _view(other, other_box, (*low, *high))))
    union = sum(int(np.count_nonzero(view)) for view in views) - shared
    return shared / max(union, 1)


def _view(patch: np.ndarray, box: Sequence[int], window: Sequence[int]) -> np.ndarray:
    """Cut the part of a patch that lies in a window of the image."""
    x1, y1 = max(window[0] - box[0], 0), max(window[1] - box[1], 0)
    return patch[y1:max(window[3] - box[1], 0), x1:max(window[2] - box[0], 0)]


def unite_cells(
        cells: Detections, cut: np.ndarray, pairs: np.ndarray) -> tuple[Detections, np.ndarray]:
    """Make one cell of each group of cells that are the same.

    Args:
        cells: N of them.
        cut: bool (N,), whether a tile's edge cuts the cell.
        pairs: int (K, 2), which are the same.

    Returns:
        M cells, and int (N,) which of them each has become.
    """
    links = coo_array((np.ones(len(pairs), bool), tuple(pairs.T)), (len(cells), len(cells)))
    groups = connected_components(links, directed=False)[1]
    # Groups in order, in each the cells that are not cut first, then by falling score.
    order = np.lexsort((-cells.scores, cut, groups))
    ends = np.flatnonzero(np.diff(groups[order], append=-1)) + 1
    begins = np.concatenate([[0], ends[:-1]])
    best = order[begins]
    patches, boxes = cells.masks.patches(), cells.masks.boxes.copy()
    for begin, end in zip(begins, ends, strict=True):
        if end - begin > 1 and cut[order[begin]]:
            members = order[begin:end]
            patches[members[0]], boxes[members[0]] = unite_patches(
                [patches[i] for i in members], boxes[members])
    masks = PatchMasks.from_patches(
        [patches[i] for i in best], boxes[best], cells.masks.height, cells.masks.width)
    return replace(cells[best], masks=masks), groups


def unite_patches(
        patches: Sequence[np.ndarray], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Paint patches into one.

    Args:
        patches: N arrays (h_i, w_i) of 0 and 1.
        boxes: int (N, 4), where they lie, half-open xyxy.

    Returns:
        uint8 patch and int (4,) its box, the hull of theirs.
    """
    left, top = boxes[:, :2].min(0)
    right, bottom = boxes[:, 2:].max(0)
    united = np.zeros((bottom - top, right - left), np.uint8)
    for patch, (x1, y1, x2, y2) in zip(patches, boxes.tolist(), strict=True):
        united[y1 - top:y2 - top, x1 - left:x2 - left] |= patch
    return united, np.array([left, top, right, bottom])

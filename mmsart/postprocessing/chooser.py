"""The final cells of kept detections at any thresholds, fast enough for a slider."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from mmsart.postprocessing.config import complete_config
from mmsart.postprocessing.kept import KeptFrame
from mmsart.postprocessing.overlap import largest_loss, uncover
from mmsart.postprocessing.seams import (
    CORE_SLACK,
    SAME_IOU,
    boxes_meet,
    in_core,
    unite_cells,
    zone_iou,
)
from mmsart.structures.detections import Detections
from mmsart.structures.mask.intersections import intersections
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.patches import covered, tight_patch


class _Pairs(NamedTuple):
    """Pairs of detections, int64 (K,) each, and what is known of them."""

    first: np.ndarray
    second: np.ndarray
    shared: np.ndarray


class Chooser:
    """Do what :meth:`~mmsart.postprocessing.kept.KeptFrame.finish` does, many times.

    Which detections share pixels is found once. After that a choice looks at the pixels of those
    alone that lie on others, and at no tile as a whole; the tests hold both ways together.

    Args:
        frame: what was kept. Its masks may be chosen from by one thread at a time.
    """

    def __init__(self, frame: KeptFrame) -> None:
        self._frame = frame
        crops = frame.crops
        found = [crop.detections for crop in crops]
        self._scores = np.concatenate([each.scores for each in found])
        self._labels = np.concatenate([each.labels for each in found])
        self._bboxes = np.concatenate([each.bboxes for each in found])
        self._tile = np.repeat(np.arange(len(crops)), [len(each) for each in found])
        corners = np.array([(crop.box or (0, 0))[:2] for crop in crops], np.int32)
        tight = [each.masks.tighten() for each in found]
        shifts = np.tile(corners, 2)[self._tile]
        boxes = np.concatenate([masks.boxes for masks in tight])
        self._patches = [patch for masks in tight for patch in masks.patches()]
        self._areas = np.concatenate([masks.areas for masks in tight])
        self._boxes = np.where(self._areas[:, None] > 0, boxes + shifts, 0)
        self._bboxes = self._bboxes + shifts.astype(np.float32)
        self._rank = np.empty(len(self._scores), np.int64)
        self._rank[np.argsort(-self._scores, kind='stable')] = np.arange(len(self._scores))
        self._inner = _join(list(_shared_pixels(tight)))
        self._outer = _join(list(self._meeting())) if crops[0].box is not None else None
        self._same: dict[tuple[int, int], bool] = {}

    def choose(self, classes: Sequence[str], settings: Mapping[str, Any]) -> Detections:
        """Choose the final cells.

        Args:
            classes: names in label order.
            settings: of post-processing; those that shape masks have been applied.

        Returns:
            The final cells with their ids, by falling score.
        """
        rules = _Rules(classes, complete_config(settings, classes), self._labels)
        alive = (self._scores >= rules.score_thr) & (self._areas >= np.maximum(
            rules.min_area, 1)) & (self._areas <= rules.max_area)
        self._suppress(alive, rules)
        changed: dict[int, np.ndarray] = {}
        if rules.remove_overlap:
            pairs = self._inner
            both = alive[pairs.first] & alive[pairs.second]
            _separate(_Scene(self._patches, self._boxes, self._areas, self._rank),
                      pairs.first[both], pairs.second[both], alive, rules, changed)
        rows = np.flatnonzero(alive)
        if self._outer is None:
            rows = rows[np.argsort(self._rank[rows])]
            return self._cells(rows, [changed.get(row, self._patches[row])
                                      for row in rows.tolist()], self._boxes[rows])
        return self._join_tiles(rows, changed, rules)

    def twins(self, ids: Sequence[int], classes: Sequence[str], settings: Mapping[str, Any],
              ) -> set[int]:
        """Find what else shows some cells, and other settings may choose in their place.

        In other tiles that is what is one cell with them, where no mask lies on theirs; in their
        own, what they suppress, or are suppressed by, and what shares more than half of their
        union.

        Args:
            ids: of detections; numbers that are none have no twins.
            classes: names in label order.
            settings: of post-processing.

        Returns:
            Ids of detections.
        """
        rules = _Rules(classes, complete_config(settings, classes), self._labels)
        worse, better, iou = self._overlaps()
        repeated = iou > np.minimum(rules.nms_iou_thr[worse], SAME_IOU)
        repeated &= np.isin(worse, ids) | np.isin(better, ids)
        found = {*worse[repeated].tolist(), *better[repeated].tolist()}
        return (found | self._twins_of_tiles(ids)) - set(ids)

    def _twins_of_tiles(self, ids: Sequence[int]) -> set[int]:
        if self._outer is None:
            return set()
        first, second = self._outer.first, self._outer.second
        near = np.isin(first, ids) | np.isin(second, ids)
        tiles = np.array([crop.box for crop in self._frame.crops])
        same = [pair for pair in zip(first[near].tolist(), second[near].tolist(), strict=True)
                if self._are_same(*pair, {}, self._boxes, tiles)]
        return {each for pair in same for each in pair}

    def _overlaps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give the pairs of one tile that share pixels: the worse, the better, and their IoU."""
        first, second, shared = self._inner
        worse = np.where(self._rank[first] > self._rank[second], first, second)
        iou = shared / (self._areas[first] + self._areas[second] - shared)
        return worse, first + second - worse, iou

    def _suppress(self, alive: np.ndarray, rules: _Rules) -> None:
        """Drop what lies too much on a better one of its tile."""
        if not np.isfinite(rules.nms_iou_thr).any():
            return
        worse, better, iou = self._overlaps()
        clash = alive[worse] & alive[better] & (iou > rules.nms_iou_thr[worse])
        worse, better = worse[clash], better[clash]
        order = np.argsort(self._rank[worse], kind='stable')
        for low, high in zip(worse[order].tolist(), better[order].tolist(), strict=True):
            if alive[high]:  # its own fate is settled: all its pairs come earlier
                alive[low] = False

    def _join_tiles(self, rows: np.ndarray, changed: dict[int, np.ndarray],
                    rules: _Rules) -> Detections:
        """Keep what each tile answers for, and put the tiles together."""
        assert self._outer is not None
        boxes = self._boxes.copy()
        patches: dict[int, np.ndarray] = {}
        for row, patch in changed.items():
            patches[row], boxes[row] = tight_patch(patch, tuple(self._boxes[row].tolist()))
        crops, tile = self._frame.crops, self._tile
        tiles = np.array([crop.box for crop in crops])
        cores = np.array([crop.core for crop in crops])[tile[rows]]
        centres = (boxes[rows, :2] + boxes[rows, 2:]) / 2
        rows = rows[in_core(centres, cores, CORE_SLACK)]
        rows = rows[np.lexsort((self._rank[rows], tile[rows]))]
        height, width = self._frame.size
        edges = tiles[tile[rows]]
        cut = ((boxes[rows] == edges) & (edges > 0) & (edges < [width, height] * 2)).any(1)
        place = np.full(len(boxes), -1)
        place[rows] = np.arange(len(rows))
        near = (place[self._outer.first] >= 0) & (place[self._outer.second] >= 0)
        meeting = self._outer.first[near], self._outer.second[near]
        same = np.array([self._are_same(first, second, patches, boxes, tiles) for first, second
                         in zip(meeting[0].tolist(), meeting[1].tolist(), strict=True)], bool)
        cells = self._cells(rows, [patches.get(row, self._patches[row]) for row in rows.tolist()],
                            boxes[rows])
        group = np.arange(len(rows))
        if same.any():
            links = np.stack([place[meeting[0][same]], place[meeting[1][same]]], 1)
            cells, group = unite_cells(cells, cut, links)
        return _one_owner(cells, group[place[meeting[0]]], group[place[meeting[1]]], rules)

    def _are_same(self, first: int, second: int, patches: dict[int, np.ndarray],
                  boxes: np.ndarray, tiles: np.ndarray) -> bool:
        """Tell whether what two tiles show is one cell; masks that are whole are looked at once."""
        whole = first not in patches and second not in patches
        if whole and (first, second) in self._same:
            return self._same[first, second]
        box, other = tiles[self._tile[first]], tiles[self._tile[second]]
        zone = (*np.maximum(box[:2], other[:2]).tolist(), *np.minimum(box[2:], other[2:]).tolist())
        same = zone_iou(
            patches.get(first, self._patches[first]), boxes[first].tolist(),
            patches.get(second, self._patches[second]), boxes[second].tolist(), zone) > SAME_IOU
        if whole:
            self._same[first, second] = same
        return same

    def _meeting(self) -> Iterator[_Pairs]:
        """Find the pairs of different tiles whose boxes meet."""
        tiles = np.array([crop.box for crop in self._frame.crops])
        ends = np.searchsorted(self._tile, np.arange(len(tiles) + 1))
        for one, other in np.argwhere(np.triu(boxes_meet(tiles, tiles), 1)).tolist():
            # Masks are filled boxes or all zero, which meet nothing.
            first, second = np.nonzero(boxes_meet(self._boxes[ends[one]:ends[one + 1]],
                                                  self._boxes[ends[other]:ends[other + 1]]))
            yield _Pairs(first + ends[one], second + ends[other], np.zeros(len(first), np.int64))

    def _cells(self, rows: np.ndarray, patches: Sequence[np.ndarray], boxes: np.ndarray,
               ) -> Detections:
        masks = PatchMasks.from_patches(patches, boxes, *self._frame.size)
        return Detections(self._scores[rows], self._labels[rows], masks, self._bboxes[rows],
                          self._frame.img_id, ids=rows)


class _Rules:
    """Settings by detection.

    Args:
        classes: names in label order.
        config: complete settings.
        labels: (N,) of the detections.
    """

    def __init__(self, classes: Sequence[str], config: Mapping[str, Any], labels: np.ndarray,
                 ) -> None:
        self._config, self._classes = config, classes
        self.remove_overlap: bool = config['remove_overlap']
        # Compared in the scores' own precision: a score of .35 passes a threshold of .35.
        self.score_thr = self.of('score_thr', labels).astype(np.float32)
        self.min_area = self.of('min_area', labels)
        self.max_area = self.of('max_area', labels, np.inf)
        self.nms_iou_thr = self.of('nms_iou_thr', labels, np.inf)
        self.max_lost_share = self.of('max_lost_share', labels)
        self.pieces = [config['pieces'][name] for name in classes]
        self.labels = labels

    def of(self, name: str, labels: np.ndarray, off: float = 0.0) -> np.ndarray:
        """Look up a setting by class; None becomes `off`."""
        values = [self._config[name][each] for each in self._classes]
        return np.array([off if value is None else value for value in values], float)[labels]

    def for_labels(self, labels: np.ndarray) -> _Rules:
        """Give the same rules for other detections."""
        return _Rules(self._classes, self._config, labels)


class _Scene(NamedTuple):
    """Masks that may lie on each other."""

    patches: Sequence[np.ndarray]
    boxes: np.ndarray
    areas: np.ndarray
    rank: np.ndarray


def _separate(scene: _Scene, first: np.ndarray, second: np.ndarray, alive: np.ndarray,
              rules: _Rules, changed: dict[int, np.ndarray]) -> None:
    """Give each pixel to the best of those that share it, see ``remove_overlap``.

    Args:
        scene: N masks.
        first, second: (K,) pairs that may share pixels, both alive.
        alive: bool (N,); what loses too much is set False.
        rules: of the N.
        changed: gets the masks that have lost pixels, in their boxes.
    """
    worse = np.where(scene.rank[first] > scene.rank[second], first, second)
    better = first + second - worse
    order = np.argsort(scene.rank[worse], kind='stable')
    worse, better = worse[order], better[order]
    places = [*np.flatnonzero(np.diff(worse, prepend=-1)).tolist(), len(worse)]
    most_lost = np.minimum(largest_loss(rules.max_lost_share, scene.areas),
                           scene.areas - np.maximum(rules.min_area, 1))
    others = better.tolist()
    for begin, end in pairwise(places):
        row = int(worse[begin])
        above = [each for each in others[begin:end] if alive[each]]
        if not above:
            continue
        hidden = _hidden(scene, row, above, changed)
        lost = np.count_nonzero(hidden)
        if not lost:
            continue
        if lost > most_lost[row]:
            alive[row] = False
            continue
        left = uncover(scene.patches[row], hidden, most_lost[row],
                       rules.pieces[rules.labels[row]])
        if left is None:
            alive[row] = False
        else:
            changed[row] = left


def _hidden(scene: _Scene, row: int, better: Sequence[int], changed: dict[int, np.ndarray],
            ) -> np.ndarray:
    """Paint the part of a mask that lies below better ones."""
    above = covered(
        scene.boxes[row].tolist(), [changed.get(other, scene.patches[other]) for other in better],
        scene.boxes[list(better)])
    return above & scene.patches[row]


def _one_owner(cells: Detections, first: np.ndarray, second: np.ndarray, rules: _Rules,
               ) -> Detections:
    """Give each pixel of joined tiles to one cell, and drop what is too small.

    Args:
        cells: of all tiles, each once.
        first, second: (K,) pairs of them that may share pixels.
        rules: of post-processing.
    """
    rules = rules.for_labels(cells.labels)
    areas, patches = cells.masks.areas, cells.masks.patches()
    alive = areas >= np.maximum(rules.min_area, 1)
    order = np.argsort(-cells.scores, kind='stable')
    changed: dict[int, np.ndarray] = {}
    if rules.remove_overlap:
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        kept = (first != second) & alive[first] & alive[second]
        pairs = np.unique(np.stack([first[kept], second[kept]], 1), axis=0)
        _separate(_Scene(patches, cells.masks.boxes, areas, rank), pairs[:, 0], pairs[:, 1],
                  alive, rules, changed)
    order = order[alive[order]]
    masks = PatchMasks.from_patches(
        [changed.get(row, patches[row]) for row in order.tolist()], cells.masks.boxes[order],
        cells.masks.height, cells.masks.width)
    assert cells.ids is not None
    return Detections(cells.scores[order], cells.labels[order], masks, cells.bboxes[order],
                      cells.img_id, ids=cells.ids[order])


def _shared_pixels(masks: Sequence[PatchMasks]) -> Iterator[_Pairs]:
    """Find the pairs of each tile that share pixels, and how many."""
    begin = 0
    for each in masks:
        shared = intersections(each, each).tocoo()
        first, second = (np.asarray(place, np.int64) for place in shared.coords)
        once = first < second
        yield _Pairs(first[once] + begin, second[once] + begin, shared.data[once])
        begin += len(each)


def _join(pairs: Sequence[_Pairs]) -> _Pairs:
    none = np.zeros(0, np.int64)
    return _Pairs(*(np.concatenate([none, *(each[part] for each in pairs)]) for part in range(3)))

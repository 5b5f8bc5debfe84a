"""What a user has corrected in a frame, as a list that can be undone and redone without end."""
from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmsart.postprocessing.overlap import remove_overlap, score_order
from mmsart.postprocessing.seams import SAME_IOU, boxes_meet
from mmsart.structures.detections import Detections
from mmsart.structures.image_result import CHANGED, DRAWN, FOUND, MADE
from mmsart.structures.mask.intersections import intersections
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.patches import Box
from mmsart.utils import UserError, atomic_write

FIRST_ID = 1 << 24
"""Of cells that a hand has made; what a detector finds counts from 0."""

DELETE = 'delete'
"""Kind of a correction that leaves nothing of cells."""

OVERLAP_SETTINGS = ('nms_iou_thr', 'max_lost_share', 'min_area', 'pieces')
"""Settings of post-processing that say what becomes of a mask below a better one."""


@dataclass(frozen=True)
class Cell:
    """A cell as a correction leaves it.

    Attributes:
        id: from :data:`FIRST_ID` on.
        label: index of its class.
        score: 1 for what was drawn; corrected cells keep theirs.
        box: half-open xyxy in the image.
        patch: uint8, as large as the box.
        origin: ids of what a detector has found and this was made from; none of what was drawn.
    """

    id: int
    label: int
    score: float
    box: Box
    patch: np.ndarray
    origin: tuple[int, ...] = ()


@dataclass(frozen=True)
class Edit:
    """One correction: cells that go and cells that come.

    Attributes:
        kind: in a word, for the list that the user sees.
        removed: ids, those that other thresholds may show in their place among them.
        added: cells.
    """

    kind: str
    removed: tuple[int, ...] = ()
    added: tuple[Cell, ...] = ()


@dataclass
class Corrections:
    """The corrections of a frame.

    Attributes:
        edits: in order; those after `done` were undone and can be redone.
        done: how many are in force.
    """

    edits: list[Edit] = field(default_factory=list)
    done: int = 0

    def next_id(self) -> int:
        """Return an id that no cell has had."""
        return max((cell.id + 1 for edit in self.edits for cell in edit.added), default=FIRST_ID)

    def do(self, edit: Edit) -> None:
        """Add a correction; what was undone before is forgotten."""
        del self.edits[self.done:]
        self.edits.append(edit)
        self.done += 1

    def undo(self) -> None:
        """Take the last correction back, if there is one."""
        self.done = max(0, self.done - 1)

    def redo(self) -> None:
        """Bring the last one that was undone back, if there is one."""
        self.done = min(len(self.edits), self.done + 1)

    def apply(self, found: Detections, classes: Sequence[str], settings: Mapping[str, Any],
              ) -> Detections:
        """Put the corrections upon what thresholds choose.

        Cells that a hand has made or changed stay whatever the thresholds are. Where masks must
        not share pixels, they are the best ones for post-processing: the others lose theirs, and
        go where they are mostly the same cell or lose too much.

        Args:
            found: final cells with ids.
            classes: names in label order.
            settings: of post-processing, complete.

        Returns:
            The cells, by falling score.
        """
        edits = self.edits[:self.done]
        if not edits:
            return found
        assert found.ids is not None
        gone = {cell_id for edit in edits for cell_id in edit.removed}
        made = [cell for edit in edits for cell in edit.added if cell.id not in gone]
        kept = found[~np.isin(found.ids, list(gone))]
        height, width = found.masks.height, found.masks.width
        masks = PatchMasks.from_patches(
            [cell.patch for cell in made], np.array([cell.box for cell in made]).reshape(-1, 4),
            height, width)
        if settings['remove_overlap'] and made:
            kept = _give_way(kept, masks, [{name: settings[name][each] for name in OVERLAP_SETTINGS}
                                           for each in classes])
        own = Detections(
            np.array([cell.score for cell in made], np.float32),
            np.array([cell.label for cell in made], np.int64), masks,
            masks.boxes.astype(np.float32), found.img_id,
            ids=np.array([cell.id for cell in made], np.int64))
        whole = Detections.cat([kept, own], found.img_id)
        return whole[score_order(whole.scores)]

    def origins(self) -> dict[int, tuple[int, ...]]:
        """Tell for each cell that a hand has made which found ones it comes from."""
        return {cell.id: cell.origin for edit in self.edits for cell in edit.added}

    def describe(self, cells: Detections, found: Detections) -> tuple[np.ndarray, int]:
        """Tell what a hand has done to a frame.

        Args:
            cells: of :meth:`apply`.
            found: what these corrections were put upon.

        Returns:
            int8 (N,), of each cell the place in :data:`~mmsart.structures.image_result.MADE` of how
            it came about; and how many found cells were deleted, with nothing left of them.
        """
        assert cells.ids is not None
        assert found.ids is not None
        ids, origins = cells.ids.tolist(), self.origins()
        ways = [FOUND if each < FIRST_ID else CHANGED if origins[each] else DRAWN for each in ids]
        deleted = {each for edit in self.edits[:self.done] if edit.kind == DELETE
                   for cell_id in edit.removed for each in origins.get(cell_id, (cell_id,))}
        left = {each for cell_id in ids for each in origins.get(cell_id, ())}
        removed = deleted.difference(left).intersection(found.ids.tolist())
        return np.array([MADE.index(way) for way in ways], np.int8), len(removed)

    def save(self, path: Path) -> None:
        """Write the corrections as JSON."""
        plain = dict(done=self.done, edits=[dict(
            kind=edit.kind, removed=list(edit.removed),
            added=[_cell_to_plain(cell) for cell in edit.added]) for edit in self.edits])
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(plain), encoding='utf-8')

    @classmethod
    def load(cls, path: Path) -> Corrections:
        """Read corrections; none where there is no file.

        Raises:
            UserError: the file is damaged.
        """
        if not path.is_file():
            return cls()
        try:
            plain = json.loads(path.read_text(encoding='utf-8'))
            return cls([Edit(each['kind'], tuple(each['removed']),
                             tuple(map(_cell_from_plain, each['added'])))
                        for each in plain['edits']], plain['done'])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f'{path}: unreadable, expected corrections: {error}') from error


def _give_way(cells: Detections, better: PatchMasks, rules: Sequence[Mapping[str, Any]],
              ) -> Detections:
    """Take the pixels of better masks from cells, and drop what these show already.

    Args:
        cells: N, which share no pixel.
        better: masks that are no less than cells.
        rules: :data:`OVERLAP_SETTINGS` of each class, by label.
    """
    touched, repeated = _meeting(cells, better, rules)
    worse = np.setdiff1d(touched, repeated)
    own = [rules[label] for label in cells.labels[worse]]
    left, kept = remove_overlap(
        PatchMasks.cat([better, cells.masks[worse]]),
        np.concatenate([np.full(len(better), np.inf), np.zeros(len(worse))]),
        np.concatenate([np.ones(len(better)), [rule['max_lost_share'] for rule in own]]),
        np.concatenate([np.zeros(len(better)), [rule['min_area'] for rule in own]]),
        ['keep'] * len(better) + [rule['pieces'] for rule in own])
    found = kept >= len(better)
    free = np.setdiff1d(np.arange(len(cells)), touched)
    stays = np.concatenate([free, worse[kept[found] - len(better)]])
    order = np.argsort(stays)
    masks = PatchMasks.cat([cells.masks[free], left[found].tighten()])
    return replace(cells[stays[order]], masks=masks[order])


def _meeting(cells: Detections, better: PatchMasks, rules: Sequence[Mapping[str, Any]],
             ) -> tuple[np.ndarray, np.ndarray]:
    """Find the rows of cells below better masks, and of those that are mostly the same cell."""
    near = np.flatnonzero(boxes_meet(cells.masks.boxes, better.boxes).any(1))
    shared = intersections(cells.masks[near], better).tocoo()
    rows, columns = near[shared.coords[0]], shared.coords[1]
    iou = shared.data / (cells.masks.areas[rows] + better.areas[columns] - shared.data)
    most = np.array([SAME_IOU if rule['nms_iou_thr'] is None else
                     min(SAME_IOU, rule['nms_iou_thr']) for rule in rules])
    return np.unique(rows), np.unique(rows[iou > most[cells.labels[rows]]])


def _cell_to_plain(cell: Cell) -> dict[str, Any]:
    bits = base64.b64encode(np.packbits(cell.patch).tobytes()).decode('ascii')
    return dict(id=cell.id, label=cell.label, score=cell.score, box=list(cell.box), bits=bits,
                origin=list(cell.origin))


def _cell_from_plain(plain: dict[str, Any]) -> Cell:
    x1, y1, x2, y2 = plain['box']
    bits = np.frombuffer(base64.b64decode(plain['bits']), np.uint8)
    patch = np.unpackbits(bits, count=(x2 - x1) * (y2 - y1)).reshape(y2 - y1, x2 - x1)
    return Cell(plain['id'], plain['label'], plain['score'], (x1, y1, x2, y2), patch,
                tuple(plain.get('origin', ())))

"""From what a user asks for to the correction that does it."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from mmsart.app.corrections import DELETE, Cell, Corrections, Edit
from mmsart.app.shapes import fill_polygon, meets_line, paint_stroke, split_patch
from mmsart.postprocessing.seams import unite_patches
from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.patches import Box, covered, tight_patch
from mmsart.utils import UserError

DRAWN_SCORE = 1.0
MOST_POINTS = 100_000
LARGEST_RADIUS = 1_000
"""Pixels; a brush as large as a large image would take gigabytes of memory."""

FARTHEST = 1e6  # pixels: OpenCV's coordinates, in sixteenths, have 31 bits


class Editor:
    """Make the corrections of a frame.

    Args:
        cells: as they are shown, with ids.
        corrections: so far, for ids that are new and for where cells come from.
        classes: names in label order.
        disjoint: whether no two cells may share a pixel.
    """

    def __init__(self, cells: Detections, corrections: Corrections, classes: Sequence[str],
                 disjoint: bool) -> None:
        assert cells.ids is not None
        self._cells, self._classes, self._disjoint = cells, classes, disjoint
        self._size = cells.masks.height, cells.masks.width
        self._rows = {int(cell_id): row for row, cell_id in enumerate(cells.ids)}
        self._next, self._origins = corrections.next_id(), corrections.origins()

    def make(self, request: dict[str, Any]) -> Edit:
        """Make a correction.

        Args:
            request: ``kind`` and what it needs: ``delete`` (ids), ``relabel`` (ids, label),
                ``merge`` (ids), ``split`` (points, and id or none for the cells that the line
                crosses; one that the line does not meet counts as none), ``draw`` (shape
                ``polygon`` or ``brush``, points, radius, label), ``erase`` (id and a shape),
                ``extend`` (as ``draw``, and id; what does not touch this cell is another one).

        Raises:
            UserError: a cell is not there, or nothing would come of it.
        """
        kinds = dict(delete=self._delete, relabel=self._relabel, merge=self._merge,
                     split=self._split, draw=self._draw, extend=self._extend, erase=self._erase)
        kind = request.get('kind')
        if kind not in kinds:
            raise UserError(f'kind: found {kind!r}, expected one of {", ".join(kinds)}')
        return kinds[kind](request)

    def _delete(self, request: dict[str, Any]) -> Edit:
        return Edit(DELETE, self._ids(request))

    def _relabel(self, request: dict[str, Any]) -> Edit:
        label = self._label(request)
        rows = [row for row in self._places(self._ids(request))
                if self._cells.labels[row] != label]
        if not rows:
            raise UserError(f'change class: found cells of the class {self._classes[label]}, '
                            'expected some of another')
        return Edit('change class', tuple(map(self._id, rows)), tuple(
            self._cell(label, float(self._cells.scores[row]), self._cells.masks.patch(row),
                       self._box(row), [row]) for row in rows))

    def _merge(self, request: dict[str, Any]) -> Edit:
        ids = self._ids(request)
        if len(ids) < 2:
            raise UserError(f'merge: found {len(ids)} cell, expected at least 2')
        rows = self._places(ids)
        best = max(rows, key=lambda row: float(self._cells.scores[row]))
        patch, box = unite_patches([self._cells.masks.patch(row) for row in rows],
                                   self._cells.masks.boxes[rows])
        return Edit('merge', ids, (self._cell(
            int(self._cells.labels[best]), float(self._cells.scores[best]), patch, _box(box),
            rows),))

    def _split(self, request: dict[str, Any]) -> Edit:
        points = _points(request)
        rows = [] if request.get('id') is None else self._places([_cell_id(request)])
        if not rows or not meets_line(self._cells.masks.patch(rows[0]), self._box(rows[0]), points):
            rows = self._near(points)
        divided, added = [], []
        for row in rows:
            try:
                parts = split_patch(np.ascontiguousarray(self._cells.masks.patch(row)),
                                    self._box(row), points)
            except UserError:
                continue
            divided.append(row)
            added += [self._cell(int(self._cells.labels[row]), float(self._cells.scores[row]),
                                 *tight_patch(part, self._box(row)), [row]) for part in parts]
        if not divided:
            raise UserError('split: found that the line divides no cell, expected it to cross one '
                            'from edge to edge')
        assert self._cells.ids is not None
        return Edit('split', tuple(int(self._cells.ids[row]) for row in divided), tuple(added))

    def _draw(self, request: dict[str, Any]) -> Edit:
        patch, box = self._free(*self._shape(request), others=self._cells.masks)
        return Edit('draw', (), (self._cell(self._label(request), DRAWN_SCORE, patch, box),))

    def _extend(self, request: dict[str, Any]) -> Edit:
        row = self._places([_cell_id(request)])[0]
        shape = self._shape(request)
        if not self._touches(*shape, row):
            return self._draw(request)
        others = np.flatnonzero(np.arange(len(self._cells)) != row)
        painted, place = self._free(*shape, others=self._cells.masks[others])
        patch, box = unite_patches([self._cells.masks.patch(row), painted],
                                   np.array([self._box(row), place]))
        if np.count_nonzero(patch) == self._cells.masks.areas[row]:
            raise UserError('extend: found every pixel of the shape in the cell, expected it to '
                            'reach beyond')
        return self._changed('extend', row, patch, _box(box))

    def _erase(self, request: dict[str, Any]) -> Edit:
        row = self._places([_cell_id(request)])[0]
        patch, box = self._shape(request)
        region = PatchMasks.from_patches([patch], np.array([box]), *self._size)
        rest = _minus(self._cells.masks.patch(row), self._box(row), region)
        tight, place = tight_patch(rest, self._box(row))
        if np.count_nonzero(rest) == self._cells.masks.areas[row]:
            raise UserError('erase: found no pixel of the shape in the cell, expected it to lie '
                            'on the cell')
        if not tight.size:
            return Edit(DELETE, (self._id(row),))
        return self._changed('erase', row, tight, place)

    def _changed(self, kind: str, row: int, patch: np.ndarray, box: Box) -> Edit:
        return Edit(kind, (self._id(row),), (self._cell(
            int(self._cells.labels[row]), float(self._cells.scores[row]), patch, box, [row]),))

    def _cell(self, label: int, score: float, patch: np.ndarray, box: Box,
              rows: Sequence[int] = ()) -> Cell:
        """Make a cell; of some that are shown if `rows` are given."""
        self._next += 1
        ids = map(self._id, rows)
        origin = {each for cell_id in ids for each in self._origins.get(cell_id, (cell_id,))}
        return Cell(self._next - 1, label, score, box, np.array(patch, np.uint8),
                    tuple(sorted(origin)))

    def _free(self, patch: np.ndarray, box: Box, others: PatchMasks) -> tuple[np.ndarray, Box]:
        """Leave of a shape what is no other cell's, where cells must not share pixels."""
        if self._disjoint and patch.size:
            patch, box = tight_patch(_minus(patch, box, others), box)
        if not patch.size:
            raise UserError('shape: found no pixel that is free, expected some inside the image '
                            'and outside other cells')
        return patch, box

    def _touches(self, patch: np.ndarray, box: Box, row: int) -> bool:
        """Tell whether a shape shares a pixel with a cell, or an edge or a corner of one."""
        x1, y1, x2, y2 = box
        grown = cv2.dilate(np.pad(patch, 1), np.ones((3, 3), np.uint8))
        rest = _minus(grown, (x1 - 1, y1 - 1, x2 + 1, y2 + 1), self._cells.masks[row])
        return np.count_nonzero(rest) < np.count_nonzero(grown)

    def _shape(self, request: dict[str, Any]) -> tuple[np.ndarray, Box]:
        points, shape = _points(request), request.get('shape')
        if shape == 'polygon':
            return fill_polygon(points, self._size)
        if shape == 'brush':
            radius = request.get('radius')
            if not isinstance(radius, int | float) or not 0 < radius <= LARGEST_RADIUS:
                raise UserError(f'radius: found {radius!r}, expected pixels above 0, at most '
                                f'{LARGEST_RADIUS:,}')
            return paint_stroke(points, radius, self._size)
        raise UserError(f'shape: found {shape!r}, expected polygon or brush')

    def _ids(self, request: dict[str, Any]) -> tuple[int, ...]:
        ids = request.get('ids')
        if not isinstance(ids, list) or not ids or not all(isinstance(each, int) for each in ids):
            raise UserError(f'ids: found {ids!r}, expected a list of cells')
        self._places(ids)
        return tuple(dict.fromkeys(ids))

    def _label(self, request: dict[str, Any]) -> int:
        label = request.get('label')
        if not isinstance(label, int) or not 0 <= label < len(self._classes):
            raise UserError(f'label: found {label!r}, expected 0 to {len(self._classes) - 1}')
        return label

    def _places(self, ids: Sequence[int]) -> list[int]:
        lost = [each for each in ids if each not in self._rows]
        if lost:
            raise UserError(f'cell {lost[0]}: it is not shown any more, expected one that is')
        return [self._rows[each] for each in dict.fromkeys(ids)]

    def _id(self, row: int) -> int:
        assert self._cells.ids is not None
        return int(self._cells.ids[row])

    def _box(self, row: int) -> Box:
        return _box(self._cells.masks.boxes[row])

    def _near(self, points: Sequence[Sequence[float]]) -> list[int]:
        """List the cells whose box meets that of a line."""
        places = np.asarray(points, float)
        low, high = places.min(0), places.max(0)
        boxes = self._cells.masks.boxes
        meets = (boxes[:, :2] <= high).all(1) & (boxes[:, 2:] >= low).all(1)
        return np.flatnonzero(meets).tolist()


def _box(box: np.ndarray) -> Box:
    x1, y1, x2, y2 = box.tolist()
    return x1, y1, x2, y2


def _cell_id(request: dict[str, Any]) -> int:
    given = request.get('id')
    if not isinstance(given, int):
        raise UserError(f'id: found {given!r}, expected the number of a cell')
    return given


def _points(request: dict[str, Any]) -> list[list[float]]:
    points = request.get('points')
    if not isinstance(points, list) or not 0 < len(points) <= MOST_POINTS or not all(
            isinstance(point, list) and len(point) == 2
            and all(isinstance(value, int | float) and abs(value) <= FARTHEST for value in point)
            for point in points):
        raise UserError(f'points: expected 1 to {MOST_POINTS:,} [x, y] in pixels')
    return points


def _minus(patch: np.ndarray, box: Box, others: PatchMasks) -> np.ndarray:
    """Take other masks from a patch."""
    return np.asarray(patch, np.uint8) & (1 - covered(box, others.patches(), others.boxes))

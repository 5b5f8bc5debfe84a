"""The cells of items as they stand: kept detections, thresholds and corrections together."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

import numpy as np

from mmsart.app.corrections import Corrections, Edit
from mmsart.app.editing import Editor
from mmsart.app.errors import ConflictError
from mmsart.app.items import DONE, UNREADABLE, Facts, Item, count_labels, results_of
from mmsart.app.sheets import Sheet, Sheets, edits_name
from mmsart.app.workspace import Workspace
from mmsart.postprocessing import complete_config
from mmsart.structures.detections import Detections
from mmsart.utils import UserError

CHANGEABLE = ('score_thr', 'min_area', 'max_area')
"""Settings of post-processing that act on kept detections."""


class Library:
    """Give the cells of any frame, and change them.

    Args:
        workspace: with the items.

    Attributes:
        uncounted: items with frames whose cells wait to be counted; None ends that.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._sheets = Sheets(workspace)
        self.uncounted: SimpleQueue[Item | None] = SimpleQueue()
        for item in workspace.items():
            self.ask_for_counts(item)

    def cells(self, item: Item, frame: int, settings: Mapping[str, Any] | None = None,
              keep: bool = True) -> Detections:
        """Choose and correct the cells of a frame.

        Args:
            item: with results.
            frame: from 0.
            settings: changes of :data:`CHANGEABLE` in place of the item's own.
            keep: whether the frame is likely to be asked for again.

        Returns:
            The cells with ids, by falling score: those of ``mmsart predict`` with these settings
            and, on top, the user's corrections.

        Raises:
            UserError: a setting is wrong.
            NotFoundError: there is no such frame.
        """
        return self.look(item, frame, settings, keep)[0]

    def look(self, item: Item, frame: int, settings: Mapping[str, Any] | None = None,
             keep: bool = True) -> tuple[Detections, Corrections]:
        """Choose and correct the cells of a frame, as :meth:`cells` does.

        Returns:
            The cells, and the corrections that are in them, which are not to be changed.
        """
        complete = self.settings(item, settings)
        with self._sheets.open(item, frame, keep) as sheet:
            return _apply(sheet, sheet.corrections, complete), sheet.corrections

    def by_hand(self, item: Item, frame: int, keep: bool = True,
                ) -> tuple[Detections, np.ndarray, int]:
        """Choose and correct the cells of a frame, and tell what a hand has done to them.

        Args:
            item: with results.
            frame: from 0.
            keep: whether the frame is likely to be asked for again.

        Returns:
            The cells as of :meth:`cells`, and both of :meth:`Corrections.describe`.
        """
        complete = self.settings(item)
        with self._sheets.open(item, frame, keep) as sheet:
            cells = _apply(sheet, sheet.corrections, complete)
            return cells, *sheet.corrections.describe(cells, _choose(sheet, complete))

    def settings(self, item: Item, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Complete the settings of post-processing.

        Args:
            item: with results.
            settings: changes in place of the item's own.

        Raises:
            UserError: a setting cannot be changed, or is out of range.
        """
        facts = results_of(item)
        return complete_settings(item.settings if settings is None else settings,
                                 facts.classes, facts.postprocess, facts.keep, item.name)

    def change_settings(self, item: Item, settings: dict[str, Any]) -> None:
        """Let other thresholds choose an item's cells from now on.

        Args:
            item: with results.
            settings: changes of :data:`CHANGEABLE`; those that are the model's own are none.

        Raises:
            UserError: a setting is wrong.
        """
        with self.workspace.update(item):
            self.take_settings(item, settings)
        for frame in self._sheets.kept(item):  # these are at hand
            self.count(item, frame)
        self.ask_for_counts(item)

    def take_settings(self, item: Item, settings: dict[str, Any]) -> None:
        """Put thresholds in force as :meth:`change_settings` does, in an update of the caller."""
        complete, facts = self.settings(item, settings), results_of(item)
        item.settings = {name: complete[name] for name in settings
                         if complete[name] != facts.postprocess[name]}
        facts.frame_counts = [None] * facts.frames

    def count(self, item: Item, frame: int) -> None:
        """Count the cells of a frame, where they have not been since thresholds changed.

        Args:
            item: with results.
            frame: from 0.

        Raises:
            UserError: its files are damaged; that is written down in the place of its counts.
        """
        facts = results_of(item)
        if facts.frame_counts[frame] is not None:
            return
        try:
            with self._sheets.open(item, frame, keep=False) as sheet:
                settings, counts = self._standing(item, facts)
                cells = _apply(sheet, sheet.corrections, settings)
                self._write_count(item, counts, frame, count_labels(cells, sheet.facts.classes))
        except Exception:
            self._write_count(item, self._standing(item, facts)[1], frame, UNREADABLE)
            raise

    def edit(self, item: Item, frame: int, request: dict[str, Any]) -> None:
        """Correct a frame, or undo or redo, and write that down.

        Args:
            item: with results.
            frame: from 0.
            request: ``kind`` is ``undo``, ``redo``, or one of :meth:`Editor.make`; ``revision``
                says which one of the item the user sees, so that two windows do not cross.

        Raises:
            ConflictError: the user sees another one.
            UserError: it cannot be done; nothing has changed then.
        """
        with self._sheets.open(item, frame) as sheet:
            facts, before = sheet.facts, sheet.corrections
            if request.get('revision', item.revision) != item.revision:
                raise ConflictError(
                    f'{item.name}: found that another window has corrected this picture '
                    'meanwhile, expected its newest state: it is loaded now, please try again')
            settings, counts = self._standing(item, facts)
            changed = Corrections(list(before.edits), before.done)
            if request.get('kind') == 'undo':
                changed.undo()
            elif request.get('kind') == 'redo':
                changed.redo()
            else:
                shown = _apply(sheet, before, settings)
                editor = Editor(shown, changed, facts.classes, facts.postprocess['remove_overlap'])
                changed.do(_with_twins(editor.make(request), sheet, shown, settings))
            count = count_labels(_apply(sheet, changed, settings), facts.classes)
            with self.workspace.update(item):
                if item.facts is not facts or item.state != DONE:
                    raise UserError(f'{item.name}: found that it was removed or run again '
                                    'meanwhile, expected the same cells')
                edits, revision = item.edits + changed.done - before.done, item.revision + 1
                # First the record: should a kill part them, its item is kept, and looked at anew.
                self.workspace.save(replace(item, edits=max(item.edits, edits), revision=revision))
                changed.save(self.workspace.path(item, item.results, edits_name(frame)))
                item.edits, item.revision = edits, revision
                sheet.corrections, counts[frame] = changed, count

    def forget(self, item: Item) -> None:
        """Drop an item's frames from memory."""
        self._sheets.forget(item)

    def ask_for_counts(self, item: Item) -> None:
        """Hand an item on to whoever counts, where a count is missing."""
        if item.facts is not None and None in item.facts.frame_counts:
            self.uncounted.put(item)

    def _write_count(self, item: Item, counts: list[tuple[int, ...] | None], frame: int,
                     count: tuple[int, ...]) -> None:
        with self.workspace.update(item, save=counts.count(None) == 1):  # when it is the last
            counts[frame] = count

    def _standing(self, item: Item, facts: Facts,
                  ) -> tuple[dict[str, Any], list[tuple[int, ...] | None]]:
        """Give the complete settings of an item, and the list of the counts that belong to them.

        Other settings come with another list, and so does another run, so that late counts land in
        one that is not used.
        """
        with self.workspace.changed:
            return self.settings(item), facts.frame_counts


def complete_settings(changed: Mapping[str, Any], classes: Sequence[str],
                      postprocess: Mapping[str, Any], keep: float, name: str) -> dict[str, Any]:
    """Complete changes of a model's settings of post-processing.

    Args:
        changed: by name.
        classes: names in label order.
        postprocess: complete settings of the model.
        keep: share of its score thresholds down to which detections are kept.
        name: what messages call the image.

    Raises:
        UserError: a setting cannot be changed, or is out of range.
    """
    source = f'{name}: settings'
    for each in changed:
        if each not in CHANGEABLE:
            raise UserError(f'{source}: found {each!r}, expected one of {", ".join(CHANGEABLE)}')
    complete = complete_config({**postprocess, **changed}, classes, source)
    for cls, thr in complete['score_thr'].items():
        lowest = postprocess['score_thr'][cls] * keep
        if thr < lowest * (1 - 1e-6):
            raise UserError(f'{source}: score_thr.{cls}: found {thr:g}, expected at least '
                            f'{lowest:g}: detections below were not kept')
    return complete


def _apply(sheet: Sheet, corrections: Corrections, settings: dict[str, Any]) -> Detections:
    """Choose the cells of a frame that is open, and put corrections upon them."""
    return corrections.apply(_choose(sheet, settings), sheet.facts.classes, settings)


def _choose(sheet: Sheet, settings: dict[str, Any]) -> Detections:
    """Choose the cells of a frame that is open."""
    key = repr(settings)
    if sheet.chosen is None or sheet.chosen[0] != key:
        sheet.chosen = key, sheet.chooser.choose(sheet.facts.classes, settings)
    return sheet.chosen[1]


def _with_twins(edit: Edit, sheet: Sheet, shown: Detections, settings: dict[str, Any]) -> Edit:
    """Let a correction remove what else was found of its cells, too.

    Which of several masks stands for a cell changes with thresholds, on a seam of tiles and where
    the best one becomes too large.
    """
    assert shown.ids is not None
    twins = sheet.chooser.twins(edit.removed, sheet.facts.classes, settings)
    return replace(edit, removed=(
        *edit.removed, *sorted(twins - set(shown.ids.tolist()))))

"""The cells of items as they stand: kept detections, thresholds and corrections together."""
from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmsart.app.corrections import Corrections
from mmsart.app.editing import Editor
from mmsart.app.errors import NotFoundError
from mmsart.app.items import DONE, Facts, Item
from mmsart.app.results import load_kept
from mmsart.app.worker import kept_name
from mmsart.app.workspace import Workspace
from mmsart.postprocessing import complete_config
from mmsart.postprocessing.chooser import Chooser
from mmsart.structures.detections import Detections
from mmsart.utils import UserError

CHANGEABLE = ('score_thr', 'min_area', 'max_area')
"""Settings of post-processing that act on kept detections."""

CACHED_FRAMES = 24


@dataclass
class Sheet:
    """A frame in memory.

    Attributes:
        chooser: of cells among what was kept.
        corrections: of the user.
        chosen: cells for the settings asked for last.
        lock: for changes.
    """

    chooser: Chooser
    corrections: Corrections
    chosen: tuple[str, Detections] | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)


class Library:
    """Give the cells of any frame, and change them.

    Args:
        workspace: with the items.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._sheets: OrderedDict[tuple[str, int], Sheet] = OrderedDict()
        self._lock, self._counting = threading.Lock(), threading.Lock()

    def cells(self, item: Item, frame: int, settings: Mapping[str, Any] | None = None,
              ) -> Detections:
        """Choose and correct the cells of a frame.

        Args:
            item: with results.
            frame: from 0.
            settings: changes of :data:`CHANGEABLE` in place of the item's own.

        Returns:
            The cells with ids, by falling score: those of ``mmsart predict`` with these settings
            and, on top, the user's corrections.

        Raises:
            UserError: a setting is wrong.
            NotFoundError: there is no such frame.
        """
        return self.look(item, frame, settings)[0]

    def look(self, item: Item, frame: int, settings: Mapping[str, Any] | None = None,
             ) -> tuple[Detections, Corrections]:
        """Choose and correct the cells of a frame, as :meth:`cells` does.

        Returns:
            The cells, and the corrections that are in them, which are not to be changed.
        """
        facts = results_of(item)
        complete = self.settings(item, settings)
        sheet = self._sheet(item, frame)
        with sheet.lock:
            key = repr(complete)
            if sheet.chosen is None or sheet.chosen[0] != key:
                sheet.chosen = key, sheet.chooser.choose(facts.classes, complete)
            cells = sheet.corrections.apply(sheet.chosen[1], complete['remove_overlap'])
            return cells, sheet.corrections

    def settings(self, item: Item, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Complete the settings of post-processing.

        Args:
            item: with results.
            settings: changes in place of the item's own.

        Raises:
            UserError: a setting cannot be changed, or is out of range.
        """
        facts = results_of(item)
        changed = item.settings if settings is None else settings
        for name in changed:
            if name not in CHANGEABLE:
                raise UserError(f'settings: found {name!r}, expected one of '
                                f'{", ".join(CHANGEABLE)}')
        complete = complete_config({**facts.postprocess, **changed}, facts.classes, 'settings')
        for cls, thr in complete['score_thr'].items():
            lowest = facts.postprocess['score_thr'][cls] * facts.keep
            if thr < lowest * (1 - 1e-6):
                raise UserError(f'settings: score_thr.{cls}: found {thr:g}, expected at least '
                                f'{lowest:g}: detections below were not kept')
        return complete

    def change_settings(self, item: Item, settings: dict[str, Any]) -> None:
        """Let other thresholds choose an item's cells from now on.

        Args:
            item: with results.
            settings: changes of :data:`CHANGEABLE`; none for the model's own.

        Raises:
            UserError: a setting is wrong.
        """
        self.settings(item, settings)
        with self.workspace.update(item):
            item.settings = copy.deepcopy(settings)
        self._count(item)

    def edit(self, item: Item, frame: int, request: dict[str, Any]) -> None:
        """Correct a frame, or undo or redo, and write that down.

        Args:
            item: with results.
            frame: from 0.
            request: ``kind`` is ``undo``, ``redo``, or one of :meth:`Editor.make`; ``done`` says
                how many corrections the user sees in force, so that two windows do not cross.

        Raises:
            UserError: it cannot be done; nothing has changed then.
        """
        facts = results_of(item)
        sheet = self._sheet(item, frame)
        with sheet.lock:
            if request.get('done', sheet.corrections.done) != sheet.corrections.done:
                raise UserError('found that another window has corrected this picture meanwhile, '
                                'expected its newest state: it is loaded now, please try again')
            changed = copy.copy(sheet.corrections)
            changed.edits = list(changed.edits)
            if request.get('kind') == 'undo':
                changed.undo()
            elif request.get('kind') == 'redo':
                changed.redo()
            else:
                editor = Editor(self.cells(item, frame), changed, facts.classes,
                                facts.postprocess['remove_overlap'])
                changed.do(editor.make(request))
            with self.workspace.update(item):
                if item.facts is not facts:
                    raise UserError(f'{item.name}: found that it was run again meanwhile, '
                                    'expected the same cells')
                changed.save(self.workspace.path(item, edits_name(frame)))
                item.edits += changed.done - sheet.corrections.done
                sheet.corrections = changed
        self._count(item)

    def forget(self, item: Item) -> None:
        """Drop an item's frames from memory."""
        with self._lock:
            for key in [key for key in self._sheets if key[0] == item.id]:
                del self._sheets[key]

    def _count(self, item: Item) -> None:
        """Count an item's cells anew, where it has not too many frames to wait for."""
        facts = results_of(item)
        if facts.frames > CACHED_FRAMES:
            return
        with self._counting:  # of two changes at once the later one must not be overwritten
            labels = np.concatenate(
                [self.cells(item, frame).labels for frame in range(facts.frames)])
            counts = tuple(np.bincount(labels, minlength=len(facts.classes)).tolist())
            with self.workspace.update(item):
                facts.counts = counts

    def _sheet(self, item: Item, frame: int) -> Sheet:
        key = (item.id, frame)
        with self._lock:  # from the question on: what is run again is forgotten
            if not 0 <= frame < results_of(item).frames:
                raise NotFoundError(f'{item.name}: found no frame {frame}')
            if key in self._sheets:
                self._sheets.move_to_end(key)
                return self._sheets[key]
            sheet = self._sheets[key] = Sheet(
                Chooser(load_kept(self.workspace.path(item, kept_name(frame)))),
                Corrections.load(self.workspace.path(item, edits_name(frame))))
            while len(self._sheets) > CACHED_FRAMES:
                self._sheets.popitem(last=False)
        return sheet


def edits_name(frame: int) -> str:
    """Name the file of a frame's corrections."""
    return f'edits_{frame:05d}.json'


def results_of(item: Item) -> Facts:
    """Return what was found in an item.

    Raises:
        UserError: it is not done.
    """
    if item.state != DONE or item.facts is None:
        raise UserError(f'{item.name}: found {item.state}, expected an image that is done')
    return item.facts

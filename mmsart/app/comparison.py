"""Truth beside predictions, where somebody has given some."""
from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmsart.app.items import Facts, Item, results_of
from mmsart.app.library import Library
from mmsart.app.wire import encode_cells
from mmsart.report.truth import Truth, TruthIndex, compare, read_truth
from mmsart.structures.detections import Detections
from mmsart.structures.image_result import OKABE_ITO, class_colours
from mmsart.utils import UserError

TRUTH_SUFFIXES = ('.csv', '.json')
UNKNOWN = 'of no class'
"""What is shown of true cells whose file names no class."""

GREY = (153, 153, 153)


class Truths:
    """The annotations that were given.

    Args:
        given: the true cells of images by their names, as :func:`read_truth` gives them.
        folder: where files that a browser sends are kept.

    Raises:
        UserError: a file that was sent before is malformed.
    """

    def __init__(self, given: Mapping[str, Truth], folder: Path) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self._given = dict(given)
        self.version = 0
        sent: dict[str, Truth] = {}
        # A stop may have left the one before: the newest is in force.
        for each in sorted(folder.glob('truth.*'), key=_changed)[-1:]:
            sent = read_truth(each)
        self._index = TruthIndex(sent | self._given)  # what is asked for now is newer

    def take(self, path: Path, suffix: str) -> int:
        """Take annotations that were sent, in place of those sent before.

        Args:
            path: the file; it is moved.
            suffix: ``.csv`` or ``.json``.

        Returns:
            The number of images in it.

        Raises:
            UserError: it is malformed.
        """
        found = read_truth(path)
        with self._lock:
            target = self._folder / f'truth{suffix}'
            path.replace(target)
            for old in self._folder.glob('truth.*'):
                if old != target:
                    old.unlink()
            self._index = TruthIndex(self._given | found)
            self.version += 1
        return len(found)

    def find(self, item: Item) -> Truth | None:
        """Find the truth of an image; planes of stacks have none."""
        truth, problem = self._look(item)
        return None if problem else truth

    def problem(self, item: Item) -> str:
        """Say why an image has no truth; nothing where it has one, or no truth is known at all."""
        return self._look(item)[1] if len(self._index) else ''

    def _look(self, item: Item) -> tuple[Truth | None, str]:
        facts = item.facts
        if facts is None:
            return None, 'found no cells yet, expected an image that is done'
        if facts.frames > 1:
            return None, 'found a stack, expected a single picture: truth is of those'
        truth = self._index.find(item.name)
        if truth is None:
            return None, 'found no truth of this name'
        size, expected = (truth.masks.width, truth.masks.height), (facts.width, facts.height)
        if size != expected:
            return truth, (f'found truth of {size[0]} x {size[1]} pixels, expected '
                           f'{expected[0]} x {expected[1]}')
        return truth, ''

    def encode(self, library: Library, item: Item) -> bytes:
        """Write the true cells of an image as :func:`~mmsart.app.wire.encode_cells` does.

        The header has ``score``, the mean precision of the cells as they stand, how many were
        met, missed and extra at an IoU of one half, and ``classes`` and ``colours`` of the true
        cells: those of the results, and behind them what the results do not tell apart.

        Raises:
            UserError: there is none.
        """
        truth, problem = self._look(item)
        if truth is None or problem:
            raise UserError(f'{item.name}: {problem}')
        facts = results_of(item)
        comparison = compare(library.cells(item, 0), truth, facts.classes)
        types = [name or UNKNOWN for name in truth.types]
        classes = list(dict.fromkeys([*facts.classes, *types]))
        labels = np.array([classes.index(name) for name in types], np.int64)
        true = Detections(np.ones(len(labels), np.float32), labels, truth.masks,
                          truth.masks.boxes.astype(np.float32), item.name)
        hits = comparison.score
        return encode_cells(true, dict(
            score=comparison.mean_precision, met=int(hits.tp[0]), missed=int(hits.fn[0]),
            extra=int(hits.fp[0]), classes=classes,
            colours=_colours(facts, len(classes) - len(facts.classes))))


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns


def _colours(facts: Facts, more: int) -> list[tuple[int, int, int]]:
    """Give the colours of the results' classes, and others for those that only the truth has."""
    known = [(red, green, blue) for red, green, blue in class_colours(
        len(facts.classes), facts.palette)]
    spare = [colour for colour in OKABE_ITO if colour not in known] or [GREY]
    return known + class_colours(more, spare)

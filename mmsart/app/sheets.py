"""Frames in memory: what was kept of each, and how it is corrected."""
from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from mmsart.app.corrections import Corrections
from mmsart.app.errors import NotFoundError
from mmsart.app.items import Facts, Item, results_of
from mmsart.app.results import load_kept
from mmsart.app.worker import kept_name
from mmsart.app.workspace import Workspace
from mmsart.postprocessing.chooser import Chooser
from mmsart.structures.detections import Detections

CACHED_FRAMES = 24
CACHED_BYTES = 512 << 20


@dataclass(eq=False)
class Sheet:
    """A frame in memory, empty until it is opened first.

    Attributes:
        facts: of the prediction whose frame it is.
        chooser: of cells among what was kept.
        corrections: of the user; replaced, never changed.
        chosen: cells for the settings asked for last.
        nbytes: memory of the masks, roughly; 0 while it is empty.
        lock: for whoever looks or changes.
    """

    facts: Facts
    chooser: Chooser = field(init=False)
    corrections: Corrections = field(init=False)
    chosen: tuple[str, Detections] | None = None
    nbytes: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)


class Sheets:
    """Open frames, and keep those looked at last.

    Args:
        workspace: with the items.
        cached_frames: how many are kept.
        cached_bytes: memory for their masks.
    """

    def __init__(self, workspace: Workspace, cached_frames: int = CACHED_FRAMES,
                 cached_bytes: int = CACHED_BYTES) -> None:
        self._workspace = workspace
        self._frames, self._bytes = cached_frames, cached_bytes
        # As long as anybody uses a frame, all others get the same: corrections must not part ways.
        self._alive: WeakValueDictionary[tuple[str, int, int], Sheet] = WeakValueDictionary()
        self._kept: OrderedDict[tuple[str, int, int], Sheet] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def open(self, item: Item, frame: int, keep: bool = True) -> Iterator[Sheet]:
        """Give a frame to one thread at a time.

        Args:
            item: with results.
            frame: from 0.
            keep: whether it is likely to be asked for again.

        Raises:
            NotFoundError: there is no such frame.
            UserError: its files are damaged.
        """
        facts = results_of(item)
        if not 0 <= frame < facts.frames:
            raise NotFoundError(f'{item.name}: found no frame {frame}')
        key = item.id, frame, id(facts)  # what is run again has other facts
        with self._lock:
            sheet = self._alive.get(key)
            if sheet is None:
                sheet = self._alive[key] = Sheet(facts)
        with sheet.lock:
            if not sheet.nbytes:
                self._load(sheet, item, frame)
            if keep:
                self._keep(key, sheet)
            yield sheet

    def kept(self, item: Item) -> list[int]:
        """List the frames of an item that are in memory."""
        with self._lock:
            return [key[1] for key in self._kept if key[0] == item.id]

    def forget(self, item: Item) -> None:
        """Drop an item's frames from memory."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == item.id]:
                del self._kept[key]

    def _load(self, sheet: Sheet, item: Item, frame: int) -> None:
        found = load_kept(self._workspace.path(item, item.results, kept_name(frame)))
        sheet.corrections = Corrections.load(
            self._workspace.path(item, item.results, edits_name(frame)))
        sheet.chooser = Chooser(found)
        sheet.nbytes = 1 + sum(crop.detections.masks.data.nbytes for crop in found.crops)

    def _keep(self, key: tuple[str, int, int], sheet: Sheet) -> None:
        with self._lock:
            self._kept[key] = sheet
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and (len(self._kept) > self._frames or sum(
                    each.nbytes for each in self._kept.values()) > self._bytes):
                self._kept.popitem(last=False)


def edits_name(frame: int) -> str:
    """Name the file of a frame's corrections."""
    return f'edits_{frame:05d}.json'

"""The folder in which the page keeps its queue and results, so that a restart finds them."""
from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mmsart.app.errors import NotFoundError
from mmsart.app.items import RUNNING, STOPPED, WAITING, Item
from mmsart.utils import UserError, atomic_write, check_writable

ITEM_FILE, QUEUE_FILE, INCOMING = 'item.json', 'queue.json', 'incoming'
RESULTS = 'run_'
SECONDS_PER_DAY = 86_400
PIECE = 20
"""Records that are written before others get the lock."""

GIVE_WAY = 1e-3
"""Seconds for which it is left to them: one who takes it again at once overtakes all who wait."""

log = logging.getLogger('mmsart.app')


class Workspace:
    """Items in a folder, each in a folder of its own; every file appears whole or not at all.

    Args:
        folder: made if it is missing.

    Attributes:
        folder: as given.
        version: counts changes, so that a page can ask whether there are any.
        changed: notified with each change; its lock guards the items.

    Raises:
        UserError: the folder cannot be written.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = check_writable(folder)
        self.changed = threading.Condition(threading.RLock())
        self.version = 1
        # What is left there is of uploads and exports that a stop has cut off.
        shutil.rmtree(self.folder / INCOMING, ignore_errors=True)
        self.incoming = check_writable(self.folder / INCOMING)
        self._items: dict[str, Item] = {}
        self._together = threading.Lock()
        self._unwritten: dict[str, int] = {}  # of items that change together, id and runs
        check_writable(self.folder / 'items')
        for path in sorted((self.folder / 'items').glob(f'*/{ITEM_FILE}')):
            try:
                item = Item.from_plain(json.loads(path.read_text(encoding='utf-8')))
                if item.id != path.parent.name:  # what is removed of it would be another one's
                    raise ValueError(f'found the id {item.id!r}, expected the name of its folder')
            except (ValueError, KeyError, TypeError) as error:
                log.warning('%s: passed over: %s', path, error)
                continue
            if item.state == RUNNING:
                item.state, item.progress = WAITING, 0.0
            self._items[item.id] = item
            self.tidy(item)  # a stop may have cut a run off
        self._next = 1 + max((int(path.name) for path in (self.folder / 'items').iterdir()
                              if path.name.isdecimal()), default=0)
        self._paused = self._read_paused()

    def items(self) -> list[Item]:
        """List the items in the order of the queue."""
        with self.changed:
            return list(self._items.values())

    def get(self, item_id: str) -> Item:
        """Return an item.

        Raises:
            NotFoundError: there is none of this id.
        """
        with self.changed:
            item = self._items.get(item_id)
        if item is None:
            raise NotFoundError('found no such image, it may have been removed')
        return item

    def path(self, item: Item, *parts: str) -> Path:
        """Name a file of an item."""
        return self.folder.joinpath('items', item.id, *parts)

    def add(self, name: str, path: Path, uploaded: bool, read: dict[str, Any],
            megapixels: float, digest: str = '') -> Item:
        """Put an image at the end of the queue.

        Args:
            name: what the user calls it.
            path: its file; an uploaded one is moved into the item's folder.
            uploaded: whether the file is a copy of ours.
            read: options of reading.
            megapixels: of all frames.
            digest: of an uploaded file's bytes.
        """
        with self.update():
            item = Item(f'{self._next:06d}', name, str(path), uploaded, read, time.time(),
                        megapixels=megapixels, digest=digest)
            self._next += 1
            folder = check_writable(self.path(item))
            if uploaded:
                item.path = str(folder / f'source{path.suffix}')
                path.replace(item.path)
            self._items[item.id] = item
            self.save(item)
        return item

    def remove(self, item: Item) -> None:
        """Forget an item, with its results and its copy of the file."""
        self._take_out(item)
        shutil.rmtree(self.path(item), ignore_errors=True)

    def _take_out(self, item: Item) -> None:
        """Remove an item from the list; its files go after that, when nobody waits for the lock."""
        with self.update():
            item.state = STOPPED  # the worker, if it is at it, stops
            self._items.pop(item.id, None)

    def tidy(self, item: Item) -> None:
        """Remove what a run has written in vain, or has replaced, or after its item was removed."""
        with self.changed:  # records are written under the lock: no unfinished one is in the list
            folder = self.path(item)
            vain = ([folder] if item.id not in self._items else
                    [path for path in folder.glob('*') if not _belongs(item, path.name)])
        for path in vain:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def save(self, item: Item) -> None:
        """Write an item's record."""
        if not self.path(item).is_dir():  # it was removed meanwhile
            return
        with atomic_write(self.path(item, ITEM_FILE)) as temporary:
            temporary.write_text(json.dumps(item.to_plain()), encoding='utf-8')

    @contextmanager
    def update(self, item: Item | None = None, save: bool = True) -> Iterator[None]:
        """Change items under the lock, write one of them and wake whoever waits for a change.

        Args:
            item: one that is changed.
            save: whether to write it; progress is not worth it.
        """
        with self.changed:
            yield
            self.version += 1
            self.changed.notify_all()
            if item is not None and save and item.id in self._items:
                item.changed = time.time()
                self.save(item)

    @contextmanager
    def update_together(self) -> Iterator[Callable[[Item], None]]:
        """Put many items into the queue, all of them or, if one cannot be written, none.

        They change at once, under the lock. Their records follow in pieces between which others
        get it, and only then the worker takes them. A stop meanwhile leaves each item as it was or
        as it is to be.

        Yields:
            What is to be called with an item before it is changed.
        """
        before: list[tuple[Item, dict[str, Any]]] = []
        with self._together:  # who comes next is to find these written
            with self.changed:
                yield lambda item: before.append((item, vars(item).copy()))
                with self.update():
                    self._unwritten = {item.id: item.runs for item, _ in before}
                    for item, _ in before:
                        item.changed = time.time()
            written: list[Item] = []
            try:
                for begin in range(0, len(before), PIECE):
                    self._write([item for item, _ in before[begin:begin + PIECE]], written)
                    time.sleep(GIVE_WAY)
            except BaseException:
                self._restore(before, written)
                raise
            finally:
                with self.update():  # the worker may begin
                    self._unwritten = {}

    def _write(self, items: Sequence[Item], written: list[Item]) -> None:
        with self.changed:
            for item in items:
                if item.id in self._items:
                    self.save(item)
                    written.append(item)

    def _restore(self, before: Sequence[tuple[Item, dict[str, Any]]],
                 written: Sequence[Item]) -> None:
        """Give items the values back that they had, but for those that were changed since."""
        with self.changed:
            for item, values in before:
                if item.state != WAITING or item.runs != self._unwritten[item.id]:
                    continue
                # Under this number, pictures may be kept that were read in the other way.
                vars(item).update(values, runs=item.runs + 1)
                if item.state == RUNNING:  # the worker has left it
                    item.state, item.progress = WAITING, 0.0
            for item in written:
                with suppress(OSError, UserError):  # what held the others back may do so again
                    self._write([item], [])

    def next_waiting(self) -> Item | None:
        """Return the first item that waits, or None."""
        with self.changed:
            return next((item for item in self._items.values()
                         if item.state == WAITING and item.id not in self._unwritten), None)

    @property
    def paused(self) -> bool:
        """Whether the queue rests."""
        return self._paused

    @paused.setter
    def paused(self, value: bool) -> None:
        with self.update():
            self._paused = value
            with atomic_write(self.folder / QUEUE_FILE) as temporary:
                temporary.write_text(json.dumps(dict(paused=value)))

    def overdue(self, days: float, now: Callable[[], float] = time.time) -> list[Item]:
        """List items that changed last longer ago, and are not in the queue.

        Args:
            days: 0 for none.
            now: seconds since 1970.
        """
        return [item for item in self.items() if days and _is_overdue(item, days, now())]

    def expire(self, days: float, now: Callable[[], float] = time.time) -> list[Item]:
        """Remove items that are overdue, but none that hold work of somebody.

        Args:
            days: see :meth:`overdue`.
            now: seconds since 1970.

        Returns:
            Those that were removed.
        """
        removed = []
        for item in self.overdue(days, now):
            with self.changed:  # nobody begins to correct it meanwhile
                ends = not item.holds_work and _is_overdue(item, days, now())
                if ends:
                    self._take_out(item)
            if ends:
                shutil.rmtree(self.path(item), ignore_errors=True)
                removed.append(item)
        return removed

    def _read_paused(self) -> bool:
        path = self.folder / QUEUE_FILE
        if not path.is_file():
            return False
        try:
            return bool(json.loads(path.read_text())['paused'])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f'{path}: unreadable, expected the state of a queue: {error}'
                            ) from error


def _is_overdue(item: Item, days: float, now: float) -> bool:
    before = now - days * SECONDS_PER_DAY
    return max(item.added, item.changed) < before and item.state not in (WAITING, RUNNING)


def _belongs(item: Item, name: str) -> bool:
    """Tell whether a file or folder in an item's own is of use."""
    if name in (ITEM_FILE, Path(item.path).name, item.results):
        return True
    # Results without a folder of their own lie beside the record.
    return item.facts is not None and not item.results and not name.startswith(RESULTS)

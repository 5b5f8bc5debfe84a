"""The thread that works through the queue."""
from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from mmsart.apis.inference import Request, Segmentation
from mmsart.app.errors import describe_full_disk, name_fields
from mmsart.app.items import (
    DONE,
    FAILED,
    RUNNING,
    WAITING,
    Facts,
    Item,
    count_labels,
    file_version,
)
from mmsart.app.results import save_kept
from mmsart.app.workspace import RESULTS, Workspace
from mmsart.utils import UnforeseenError, UserError, readable

MEMORY = 0.7
"""Weight of what the estimate of the speed was before an image."""

log = logging.getLogger('mmsart.app')


class Segmenter(Protocol):
    """What the queue needs of a :class:`~mmsart.apis.inference.CellSegmenter`."""

    source: Any
    method: dict[str, Any]
    keep: float | None

    def stream(self, requests: Iterable[Request],
               watch: Callable[[Request, int, int], None] | None = None,
               ) -> Iterator[tuple[Request, Segmentation | UserError]]:
        """Find the cells of many images."""


class Stopped(Exception):
    """The user has stopped the image that is being looked at, or the program ends."""


class Worker(threading.Thread):
    """Look at the images of a workspace, one after another, for as long as the program runs.

    Args:
        workspace: with the queue.
        segmenter: finds the cells; told to keep detections.
        given_back: called with an item whose earlier results stand again, since a new run failed.
        found: called with an item that is done now.

    Both are called while the workspace is locked, before the item's record is written.
    """

    def __init__(self, workspace: Workspace, segmenter: Segmenter,
                 given_back: Callable[[Item], None], found: Callable[[Item], None]) -> None:
        super().__init__(name='mmsart queue', daemon=True)
        self.workspace, self.segmenter = workspace, segmenter
        self._given_back, self._found = given_back, found
        self._ending = False
        self._seconds_per_megapixel: float | None = None

    def end(self) -> None:
        """Stop after the tile that is being looked at; its image waits again."""
        with self.workspace.update():
            self._ending = True
        if self.is_alive():
            self.join()

    def run(self) -> None:
        """Work until :meth:`end`."""
        while (item := self._next()) is not None:
            try:
                self._look_at(item)
            except Exception as error:
                _log_failure(f'{item.name}: its record could not be written', error)

    def seconds_left(self) -> float | None:
        """Estimate how long the queue takes; None before the first image says how fast it goes."""
        if self._seconds_per_megapixel is None:
            return None
        left = sum(item.megapixels * (1 - item.progress) for item in self.workspace.items()
                   if item.state in (WAITING, RUNNING))
        return left * self._seconds_per_megapixel

    def _next(self) -> Item | None:
        """Wait for an image; None at the end."""
        workspace = self.workspace
        with workspace.changed:
            while not self._ending:
                item = None if workspace.paused else workspace.next_waiting()
                if item is not None:
                    with workspace.update(save=False):  # it waits again after a restart
                        item.state, item.progress, item.error = RUNNING, 0.0, ''
                    return item
                workspace.changed.wait()
        return None

    def _look_at(self, item: Item) -> None:
        started = time.perf_counter()
        rested, results = 0.0, f'{RESULTS}{item.runs}'

        def watch(_: Request, done: int, total: int) -> None:
            nonlocal rested
            with self.workspace.update(item, save=False):
                item.progress = done / total
            begin = time.perf_counter()
            self._rest(item)
            rested += time.perf_counter() - begin

        try:
            version = file_version(item.path)  # before: what changes meanwhile shows
            request = Request(item.path, item.read_options, item.name)
            _, found = next(iter(self.segmenter.stream([request], watch)))
            if isinstance(found, UserError):
                raise found
            try:
                facts = self._keep(item, results, found, version)
            finally:
                found.close()
        except Stopped:
            with self.workspace.update(item):
                if item.state == RUNNING:  # the program ends
                    item.state, item.progress = WAITING, 0.0
        except UserError as error:
            if isinstance(error, UnforeseenError):
                log.error('%s: failed', item.name, exc_info=error.__cause__)
            self._fail(item, str(error).replace(item.path, item.name))
        except Exception as error:  # one image must not end the queue
            _log_failure(f'{item.name}: failed', error)
            self._fail(item, f'{item.name}: ' + (
                describe_full_disk(error) or f'{type(error).__name__}: {error}'))
        else:
            self._learn((time.perf_counter() - started - rested) / max(item.megapixels, 1e-6))
            with self.workspace.update(item):
                if item.state == RUNNING:  # else it was stopped, and perhaps asked for anew
                    item.facts, item.results, item.progress, item.state = facts, results, 1.0, DONE
                    item.edits, item.checked = 0, False
                    item.revision += 1
                    self._found(item)
        self.workspace.tidy(item)

    def _rest(self, item: Item) -> None:
        """Wait while the queue is paused.

        Raises:
            Stopped: the image is not to be finished.
        """
        workspace = self.workspace
        with workspace.changed:
            while not self._ending and item.state == RUNNING and workspace.paused:
                workspace.changed.wait()
            if self._ending or item.state != RUNNING:
                raise Stopped

    def _keep(self, item: Item, results: str, found: Segmentation,
              version: tuple[int, int] | None) -> Facts:
        """Write what was found, all of it or nothing."""
        folder = self.workspace.path(item, results)
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was cut off
        folder.mkdir(parents=True)
        try:
            for number, frame in enumerate(found.kept):
                save_kept(folder / kept_name(number), frame)
        except BaseException:  # now: on a full disk this makes the room for the record
            shutil.rmtree(folder, ignore_errors=True)
            raise
        kept = [crop.detections.labels for frame in found.kept for crop in frame.crops]
        return Facts(
            *found.size, found.stack_size, tuple(found.classes),
            tuple(found.palette) if found.palette else None, found.pixel_size,
            found.pixel_size_source, found.display_range, found.seconds, tuple(found.warnings),
            self.segmenter.source.postprocess, self.segmenter.keep or 1.0,
            tuple(np.bincount(np.concatenate(kept), minlength=len(found.classes)).tolist()),
            [count_labels(frame.detections, found.classes) for frame in found.frames],
            version, found.axes, found.channel, found.scaling, found.date, self.segmenter.method)

    def _fail(self, item: Item, reason: str) -> None:
        with self.workspace.update(item):
            if item.state != RUNNING:
                return
            item.state, item.error = FAILED, name_fields(readable(' '.join(reason.split())))
            if item.give_back():
                self._given_back(item)

    def _learn(self, speed: float) -> None:
        known = self._seconds_per_megapixel
        self._seconds_per_megapixel = (
            speed if known is None else MEMORY * known + (1 - MEMORY) * speed)


def _log_failure(what: str, error: Exception) -> None:
    """Log an error, with its traceback unless the disk is full."""
    problem = describe_full_disk(error)
    if problem is None:
        log.error(what, exc_info=error)
    else:
        log.error('%s: %s', what, problem)


def kept_name(frame: int) -> str:
    """Name the file of a frame's kept detections."""
    return f'kept_{frame:05d}.npz'

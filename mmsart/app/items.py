"""An image in the workspace, from its place in the queue to its results."""
from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mmsart.imaging import ImageStack
from mmsart.imaging.read_options import ReadOptions
from mmsart.structures.detections import Detections
from mmsart.utils import UserError

WAITING, RUNNING, DONE, FAILED, STOPPED = 'waiting', 'running', 'done', 'failed', 'stopped'
UNREADABLE: tuple[int, ...] = ()
"""In the place of the counts of a frame whose files are damaged."""

STATES = (WAITING, RUNNING, DONE, FAILED, STOPPED)


@dataclass
class Facts:
    """What a prediction says of an image beside its cells.

    Attributes:
        height, width: of each frame in pixels.
        stack: number of times and of depths.
        classes: names in label order.
        palette: RGB of each, or None.
        pixel_size: micrometres, or None.
        pixel_size_source: who says so.
        display_range: grey values shown as black and white, or None.
        seconds: that it took.
        warnings: a line each.
        postprocess: complete settings that the model brought.
        keep: share of its score thresholds down to which detections were kept.
        kept: detections of each class that were.
        frame_counts: cells of each class in each frame, as thresholds and corrections stand; None
            where they have not been counted since thresholds changed, :data:`UNREADABLE` where
            they cannot be.
        version: of the file that was looked at, see :func:`file_version`; None if nobody knows.
        axes, channel, scaling, date: see :class:`~mmsart.structures.image_result.ImageResult`.
        method: what has looked at it, see :func:`mmsart.apis.methods.describe_model`; empty if
            nobody knows.
    """

    height: int
    width: int
    stack: tuple[int, int]
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...] | None
    pixel_size: float | None
    pixel_size_source: str
    display_range: tuple[float, float] | None
    seconds: float | None
    warnings: tuple[str, ...]
    postprocess: dict[str, Any]
    keep: float
    kept: tuple[int, ...]
    frame_counts: list[tuple[int, ...] | None]
    version: tuple[int, int] | None = None
    axes: str = ''
    channel: int | str | None = None
    scaling: str = ''
    date: str = ''
    method: dict[str, Any] = field(default_factory=dict)

    @property
    def counts(self) -> list[int]:
        """Cells of each class in all frames that are counted."""
        known = [count for count in self.frame_counts if count]
        return [sum(column) for column in zip(*known, strict=True)] or [0] * len(self.classes)

    @property
    def counted(self) -> int:
        """Number of frames that are counted, or cannot be."""
        return self.frames - self.frame_counts.count(None)

    @property
    def unreadable(self) -> int:
        """Number of frames whose cells cannot be read."""
        return self.frame_counts.count(UNREADABLE)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.stack[0] * self.stack[1]

    def place(self, frame: int) -> tuple[int, int]:
        """Return time and depth of a frame."""
        return divmod(frame, self.stack[1])


@dataclass
class Item:
    """One image of the queue.

    Attributes:
        id: its folder's name; ids rise in the order of adding.
        name: what the user calls it.
        path: of the file.
        uploaded: whether the file is a copy of ours, which goes with the item.
        read: options of :class:`~mmsart.imaging.read_options.ReadOptions`.
        added: seconds since 1970.
        changed: when its record was last written, seconds since 1970.
        megapixels: of all frames.
        state: one of :data:`STATES`.
        error: why it failed, a line.
        progress: share of the work that is done, 0 to 1.
        facts: of the prediction, once done.
        settings: thresholds that are not the model's: ``score_thr``, ``min_area``, ``max_area``.
        checked: whether the user is done with it, so that it can be truth.
        edits: corrections that are in force, of all frames.
        revision: how often its corrections have changed, by undoing, redoing and new runs too.
        runs: how often it was put into the queue again, or came back from there without a result;
            the picture may have changed with it.
        digest: of an uploaded file's bytes.
        results: folder of its detections and corrections inside its own; each run has another one.
        read_before: how the file was read for results that stand until a new run is through.
        next_settings: thresholds that were set while it was in the queue, for what is found there;
            None where there are none, and those of before stay.
    """

    id: str
    name: str
    path: str
    uploaded: bool
    read: dict[str, Any] = field(default_factory=dict)
    added: float = 0.0
    changed: float = 0.0
    megapixels: float = 0.0
    state: str = WAITING
    error: str = ''
    progress: float = 0.0
    facts: Facts | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    checked: bool = False
    edits: int = 0
    revision: int = 0
    runs: int = 0
    digest: str = ''
    results: str = ''
    read_before: dict[str, Any] = field(default_factory=dict)
    next_settings: dict[str, Any] | None = None

    def wait_again(self, read: dict[str, Any]) -> None:
        """Wait for a run, from its beginning where one is under way.

        What was found and corrected before stands again if nothing comes of it.

        Args:
            read: options of reading.
        """
        if not self.in_queue:
            self.read_before = self.read
        self.read, self.state, self.error, self.progress = read, WAITING, '', 0.0
        self.runs += 1

    def give_back(self) -> bool:
        """Return to the results from before a run that came to nothing, if there are any."""
        if self.facts is None:
            return False
        self.state, self.progress, self.read = DONE, 1.0, self.read_before
        self.runs += 1  # last: who sees it sees how the file is read, too
        return True

    @property
    def read_options(self) -> ReadOptions:
        """How the file is read."""
        return as_read_options(self.read)

    @property
    def in_queue(self) -> bool:
        """Whether it waits, or is looked at."""
        return self.state in (WAITING, RUNNING)

    @property
    def corrected(self) -> bool:
        """Whether a hand has done something to its cells that a new run would lose."""
        return bool(self.edits or self.checked)

    @property
    def holds_work(self) -> bool:
        """Whether a hand has done something to it."""
        return bool(self.corrected or self.settings)

    def to_plain(self) -> dict[str, Any]:
        """Describe the item as plain data; what is in it belongs to the item."""
        return vars(self) | dict(facts=self.facts and vars(self.facts).copy())

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Item:
        """Read what :meth:`to_plain` gave and JSON may have made lists of."""
        facts = plain.pop('facts')
        item = cls(**plain)
        if facts is not None:
            for name in ('stack', 'classes', 'warnings', 'kept'):
                facts[name] = tuple(facts[name])
            if facts['palette'] is not None:
                facts['palette'] = tuple(tuple(colour) for colour in facts['palette'])
            if facts['display_range'] is not None:
                facts['display_range'] = tuple(facts['display_range'])
            facts['frame_counts'] = [  # what could not be read is tried anew
                tuple(each) if each else None for each in facts['frame_counts']]
            if facts.get('version') is not None:
                facts['version'] = tuple(facts['version'])
            item.facts = Facts(**facts)
        return item

    @property
    def file_has_changed(self) -> bool:
        """Whether its file is another one than its cells were found in; a copy of ours stays."""
        known = None if self.uploaded or self.facts is None else self.facts.version
        return known is not None and file_version(self.path) != known


def as_read_options(plain: Mapping[str, Any]) -> ReadOptions:
    """Make options of reading of what JSON holds.

    Args:
        plain: options by name; limits of grey values are a list.

    Raises:
        UserError: one is wrong for any file.
    """
    normalize = plain.get('normalize')
    return ReadOptions(**dict(plain, normalize=tuple(normalize) if isinstance(
        normalize, list) else normalize))


def file_version(path: str) -> tuple[int, int] | None:
    """Return a file's size in bytes and the time of its last change in nanoseconds.

    Args:
        path: of the file.

    Returns:
        What tells its contents from later ones without a look at them; None if it is not there.
    """
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns


def results_of(item: Item) -> Facts:
    """Return what was found in an item.

    Raises:
        UserError: it is not done.
    """
    if item.state != DONE or item.facts is None:
        raise UserError(f'{item.name}: found {item.state}, expected an image that is done')
    return item.facts


def count_labels(cells: Detections, classes: Sequence[str]) -> tuple[int, ...]:
    """Count the cells of each class."""
    return tuple(np.bincount(cells.labels, minlength=len(classes)).tolist())


@contextmanager
def open_item(item: Item) -> Iterator[ImageStack]:
    """Open an item's file.

    A deep stack is shown between the grey values that its prediction has found: to find them anew
    takes all of its planes.

    Yields:
        Its frames.

    Raises:
        UserError: the file is not there any more, unreadable, or not the one that the item's cells
            were found in; the message has the item's name.
    """
    if not os.path.isfile(item.path):
        raise _no_file(item)
    if item.state == DONE and item.file_has_changed:
        raise UserError(f'{item.name}: the file has changed since its cells were found, expected '
                        'the same; find its cells anew')
    options = item.read_options
    limits = item.facts.display_range if item.facts and item.state == DONE else None
    if limits and limits[0] != limits[1]:
        options = replace(options, normalize=(min(limits), max(limits)))
    try:
        with options.open(item.path) as stack:
            yield stack
    except FileNotFoundError as error:  # readers open it by its name again and again
        if os.path.isfile(item.path):
            raise
        raise _no_file(item) from error
    except UserError as error:
        raise UserError(str(error).replace(item.path, item.name)) from error


def _no_file(item: Item) -> UserError:
    return UserError(f'{item.name}: the file is not there any more, expected '
                     + ('the upload' if item.uploaded else f'it at {item.path}'))

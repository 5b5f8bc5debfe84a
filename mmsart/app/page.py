"""What the addresses of the server share."""
from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import secrets
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from mmsart import __version__
from mmsart.app.admission import count_megapixels
from mmsart.app.comparison import Truths
from mmsart.app.counter import Counter
from mmsart.app.errors import ConflictError
from mmsart.app.folders import Folders
from mmsart.app.items import DONE, STOPPED, Item, results_of
from mmsart.app.library import CHANGEABLE, Library, complete_settings
from mmsart.app.limits import Limits
from mmsart.app.pictures import TILE, Pictures
from mmsart.app.wire import encode_cells
from mmsart.app.worker import Segmenter, Worker
from mmsart.app.workspace import SECONDS_PER_DAY, Workspace
from mmsart.formats.names import DEFAULT_FORMATS, FORMATS
from mmsart.imaging.readers import IMAGE_SUFFIXES
from mmsart.structures.image_result import class_colours
from mmsart.utils import UserError, readable

log = logging.getLogger('mmsart.app')


class Page:
    """What the addresses of the server share: the queue, the cells, the pictures.

    Args:
        workspace: with the items.
        segmenter: finds cells, and keeps detections.
        folders: that may be read.
        truths: to show beside results.
        limits: of what is sent.

    Attributes:
        workspace, folders, truths, limits: as given.
        library: the cells of items.
        pictures: of their frames.
        worker: works through the queue.
        counter: counts cells in the background.
        start: tells this server from those that were at its address before.
    """

    def __init__(self, workspace: Workspace, segmenter: Segmenter, folders: Folders,
                 truths: Truths, limits: Limits) -> None:
        self.workspace, self.folders, self.truths = workspace, folders, truths
        self.limits = limits
        self.library, self.pictures = Library(workspace), Pictures()
        self.worker = Worker(workspace, segmenter, self._take_back, self._take_over)
        self.counter = Counter(self.library)
        self.start = secrets.token_hex(8)
        self._uploads = asyncio.Semaphore(limits.uploads_at_once)
        self._adding = threading.Lock()  # of folders: each sees what the one before has added

    def state(self, since: str) -> dict[str, Any]:
        """Describe everything, for a page that asks for news.

        Args:
            since: the version that the page knows; only what no version counts is told then.
        """
        version = f'{self.start}.{self.workspace.version}.{self.truths.version}'
        known = dict(version=version, start=self.start, paused=self.workspace.paused,
                     seconds_left=self.worker.seconds_left())
        if since == version:
            return known
        return known | dict(
            items=[self.describe(item) for item in self.workspace.items()], model=self.model(),
            truths=self.truths.version,
            formats=[dict(name=name, what=what, default=name in DEFAULT_FORMATS)
                     for name, what in FORMATS.items()],
            roots=[readable(str(root)) for root in self.folders.roots], tile=TILE,
            keep_days=self.limits.keep_days,
            kept=[item.name for item in self.workspace.overdue(self.limits.keep_days)],
            upload_bytes=self.limits.upload_bytes,
            suffixes=IMAGE_SUFFIXES, program=f'mmsart {__version__}')

    def model(self) -> dict[str, Any]:
        """Describe the model."""
        source = self.worker.segmenter.source
        return dict(name=source.name, classes=list(source.classes),
                    colours=class_colours(len(source.classes), source.palette))

    def describe(self, item: Item) -> dict[str, Any]:
        """Describe an item for the page."""
        with self.workspace.changed:  # the worker may be about to finish it
            plain = item.to_plain()
            del plain['path']
            if item.facts is not None:
                facts = plain['facts']
                del facts['frame_counts'], facts['version'], facts['method']
                facts['made_by'] = _made_by(item.facts.method)
                facts['counts'], facts['counted'] = item.facts.counts, item.facts.counted
                facts['frames'], facts['unreadable'] = item.facts.frames, item.facts.unreadable
                facts['colours'] = class_colours(len(item.facts.classes), item.facts.palette)
                facts['postprocess'] = {name: item.facts.postprocess[name] for name in CHANGEABLE}
            plain['truth'] = item.state == DONE and self.truths.find(item) is not None
            plain['truth_problem'] = self.truths.problem(item) if item.state == DONE else ''
        return plain

    def items(self, ids: Any, gone: bool = False) -> list[Item]:
        """Find items.

        Args:
            ids: a list of ids, ``'all'`` for those that are done, or ``'checked'``.
            gone: whether some of a list may have been removed; they are passed over.

        Raises:
            UserError: it is something else.
            NotFoundError: there is no such item, or none of them any more.
        """
        if ids == 'all':
            return [item for item in self.workspace.items() if item.state == DONE]
        if ids == 'checked':
            return [item for item in self.workspace.items()
                    if item.state == DONE and item.checked]
        if not isinstance(ids, list):
            raise UserError(f'items: found {ids!r}, expected a list of ids, "checked" or "all"')
        if gone:
            known = {item.id for item in self.workspace.items()}
            ids = [each for each in ids if str(each) in known] or ids
        return [self.workspace.get(str(each)) for each in ids]

    def check_room(self, count: int) -> None:
        """Refuse more images than the workspace takes."""
        known = len(self.workspace.items())
        if known + count > self.limits.items:
            raise UserError(f'found {known + count:,} images, expected at most '
                            f'{self.limits.items:,}: remove some first')

    def remove(self, item: Item) -> None:
        """Forget an item everywhere."""
        self.workspace.remove(item)
        self._forget(item)

    def _forget(self, item: Item) -> None:
        """Drop an item from memory."""
        self.library.forget(item)
        self.pictures.forget(item)

    async def clean(self) -> None:
        """Remove what has expired, at once and then every day."""
        while True:
            await run_in_threadpool(self.expire)
            await asyncio.sleep(SECONDS_PER_DAY)

    def expire(self) -> None:
        """Remove what has expired everywhere."""
        for item in self.workspace.expire(self.limits.keep_days):
            self._forget(item)
            log.info('%s: removed after %d days', item.name, self.limits.keep_days)

    async def receive(self, request: Request, suffix: str) -> tuple[Path, str]:
        """Write the body of a request to a file of the workspace.

        Args:
            request: with the bytes of a file.
            suffix: of the file to write.

        Returns:
            The file, and the digest of its bytes.

        Raises:
            HTTPException: 413, it is too long; 400, it is empty or breaks off.
        """
        async with self._uploads:
            with tempfile.NamedTemporaryFile(dir=self.workspace.incoming, suffix=suffix,
                                             delete=False) as file:
                path, size, digest = Path(file.name), 0, hashlib.sha256()
                try:
                    async for chunk in request.stream():
                        size += len(chunk)
                        if size > self.limits.upload_bytes:
                            raise HTTPException(413, 'found a file of more than '
                                                f'{self.limits.upload_bytes / 1e6:,.0f} MB')
                        digest.update(chunk)
                        await run_in_threadpool(file.write, chunk)
                    if not size:
                        raise HTTPException(400, 'found an empty file, expected an image')
                except BaseException:
                    path.unlink(missing_ok=True)
                    raise
        return path, digest.hexdigest()

    def add_upload(self, name: str, path: Path, read: dict[str, Any], digest: str,
                   twice: bool = False) -> tuple[Item, str]:
        """Put an upload into the queue, but once.

        Args:
            name: what the user calls it.
            path: of :meth:`receive`; it is moved.
            read: options of reading.
            digest: of its bytes.
            twice: also add one that is in the list already, but read in another way.

        Returns:
            The item, and what became of the upload: it is ``'added'``, was ``'known'`` before, or
            ``'differs'``: that item is read in another way, and stays so.

        Raises:
            UserError: it is no image, or too large.
        """
        size = count_megapixels(path, name, self.limits, read.get('series'))
        with self.workspace.changed:
            same = [item for item in self.workspace.items()
                    if (item.digest, item.name) == (digest, name)]
            known = [item for item in same if item.read == read]
            if not known and (twice or not same):
                return self.workspace.add(name, path, True, read, size, digest), 'added'
            path.unlink()
            return (known or same)[-1], 'known' if known else 'differs'

    def add_folder(self, path: str, recursive: bool, read: dict[str, Any],
                   twice: bool = False) -> dict[str, Any]:
        """Put the images of a folder into the queue, those that are new to it or have changed.

        Args:
            path: of the folder, as a browser knows it.
            recursive: also look into folders in it.
            read: options of reading.
            twice: also add those that are in the list already, but read in another way.

        Returns:
            How many were ``added``, have ``changed`` since their cells were found and wait again,
            or were ``known`` before; ``differ``, the ids of those that are read in another way and
            stay so; and why others were ``refused``: among them those that have changed and hold
            work of a hand.

        Raises:
            UserError: the folder is outside of those that may be read, or holds no image.
        """
        with self._adding:
            found = self.folders.images(path, recursive)
            items = {(item.path, _as_key(item.read)): item for item in self.workspace.items()}
            others = {} if twice else {item.path: item.id for item in items.values()}
            known = [items.get((str(file), _as_key(read))) for file, _ in found]
            differ = [others[str(file)] for (file, _), item in zip(found, known, strict=True)
                      if item is None and str(file) in others]
            self.check_room(known.count(None) - len(differ))
            refused, counts = [], dict(added=0, changed=0, known=0)
            for (file, name), item in zip(found, known, strict=True):
                if item is None and str(file) in others:
                    continue
                if item is not None and not (item.state == DONE and item.file_has_changed):
                    counts['known'] += 1
                    continue
                try:
                    size = count_megapixels(file, name, self.limits, read.get('series'))
                    if item is not None:
                        self._look_again(item, size)
                except (UserError, OSError) as error:
                    refused.append(readable(str(error)))
                    continue
                if item is None:
                    self.workspace.add(name, file, False, read, size)
                counts['added' if item is None else 'changed'] += 1
            return dict(counts, differ=differ, refused=refused)

    def _look_again(self, item: Item, megapixels: float) -> None:
        """Put an item into the queue anew whose file has changed, unless work would be lost."""
        with self.workspace.changed:  # nobody begins to correct it meanwhile
            if item.corrected:
                raise UserError(f'{item.name}: the file has changed since its cells were found, '
                                'and these are corrected or checked; find those of the new file '
                                'with ↻')
            item.megapixels = megapixels
            self.run_again(item)

    def run_again(self, item: Item) -> None:
        """Put an item into the queue anew, see :meth:`Item.wait_again`."""
        with self.workspace.update(item):
            item.wait_again(item.read)
        self._forget(item)  # only now: what is asked for meanwhile would bring the old ones back

    def read_anew(self, ids: Any, changes: Mapping[str, Any], lost: Any) -> int:
        """Put items into the queue anew with other options of reading, all of them or none.

        An item that is in the queue begins anew, if its options change.

        Args:
            ids: of :meth:`items`; those of items that are gone are passed over.
            changes: options of reading by name, see :func:`~mmsart.app.requests.read_changes`;
                the others stay as they are.
            lost: by id, of the items whose corrections and check marks the user has given up, the
                revision and whether it was checked, as they were then.

        Returns:
            How many wait for a new run.

        Raises:
            ConflictError: one is corrected or checked, and that was not given up.
            UserError: a request is malformed, or one is too large as it is to be read.
            NotFoundError: all are gone.
        """
        if not isinstance(lost, dict):
            raise UserError(f'lost: found {lost!r}, expected revisions and check marks by id')
        sizes = self._megapixels(self.items(ids, gone=True), changes['series']
                                 ) if 'series' in changes else {}
        chosen = []
        with self.workspace.update_together() as changing:  # nobody begins to correct one meanwhile
            for item in self.items(ids, gone=True):
                read = {name: value for name, value in {**item.read, **changes}.items()
                        if value is not None}
                if item.in_queue and read == item.read:
                    continue
                if item.corrected and not item.in_queue and lost.get(item.id) != [
                        item.revision, item.checked]:
                    raise ConflictError(
                        f'{item.name}: found corrections or a check mark made meanwhile, expected '
                        'none: what would be lost is counted anew, please look again')
                chosen.append((item, read))
            for item, read in chosen:
                changing(item)
                item.wait_again(read)
                item.megapixels = sizes.get(item.id, item.megapixels)
                self._forget(item)  # only now, as above
        return len(chosen)

    def _megapixels(self, items: Sequence[Item], series: int | None) -> dict[str, float]:
        """Count the megapixels of items by id, but of files that are gone: their runs say so."""
        sizes = {}
        for item in items:
            try:
                sizes[item.id] = count_megapixels(Path(item.path), item.name, self.limits, series)
            except (UserError, FileNotFoundError):
                if os.path.isfile(item.path):
                    raise
        return sizes

    def run_stopped_again(self) -> None:
        """Put all items into the queue anew that were taken out of it."""
        for item in self.workspace.items():
            with self.workspace.changed:  # nobody else does so meanwhile
                if item.state == STOPPED:
                    self.run_again(item)

    def stop(self, item: Item) -> None:
        """Take an item out of the queue, if it is there."""
        with self.workspace.changed:
            if item.in_queue:  # the worker may have finished it meanwhile
                with self.workspace.update(item):
                    item.state, item.progress = STOPPED, 0.0
                    if item.give_back():
                        self._take_back(item)

    def _take_back(self, item: Item) -> None:
        """Go on with an item whose earlier results stand again, since a new run came to nothing."""
        self.pictures.forget(item)  # they are as that run has read them
        if item.next_settings is not None:
            self._take_settings(item, item.next_settings)
        self.library.ask_for_counts(item)

    def _take_over(self, item: Item) -> None:
        """Let the thresholds that were set before a run choose among what it has found."""
        wanted = item.settings if item.next_settings is None else item.next_settings
        item.settings = {}
        self._take_settings(item, wanted)
        self.library.ask_for_counts(item)

    def _take_settings(self, item: Item, wanted: dict[str, Any]) -> None:
        """Let thresholds choose that may have been set upon cells of another model."""
        item.next_settings = None
        try:
            if wanted != item.settings:
                self.library.take_settings(item, wanted)
        except UserError as error:
            results_of(item).warnings += (
                f'thresholds that were set before are not in force: {error}',)

    def cells(self, item: Item, frame: int, settings: Any = None) -> bytes:
        """Write the cells of a frame, and what can be undone, as the page reads them.

        Args:
            item: with results.
            frame: from 0.
            settings: changes of thresholds in place of the item's own, by name.

        Raises:
            UserError: a setting is wrong.
            NotFoundError: there is no such frame.
        """
        self._check_settings(item, settings)
        revision = item.revision  # before the look: one too low makes a page look again
        found, corrections = self.library.look(item, frame, settings)
        return encode_cells(found, dict(
            revision=revision, done=corrections.done,
            edits=[edit.kind for edit in corrections.edits]))

    def edit(self, item: Item, frame: int, request: dict[str, Any]) -> bytes:
        """Correct a frame, and write its cells as :meth:`cells` does.

        Args:
            item: with results.
            frame: from 0.
            request: of :meth:`Library.edit`, and ``settings`` of :meth:`cells`.

        Raises:
            ConflictError: the user sees another state of the item.
            UserError: it cannot be done; nothing has changed then.
            NotFoundError: there is no such frame.
        """
        settings = request.get('settings')
        self._check_settings(item, settings)
        self.library.edit(item, frame, request)
        return self.cells(item, frame, settings)

    def _check_settings(self, item: Item, settings: Any) -> None:
        """Refuse settings to look at cells with that mean nothing."""
        if settings is not None and not isinstance(settings, dict):
            raise UserError(f'settings: found {settings!r}, expected settings by name')
        self.library.settings(item, settings)

    def change_settings(self, items: Sequence[Item], settings: dict[str, Any]) -> list[str]:
        """Change the thresholds of items.

        Args:
            items: with results, or in the queue: those take them when they are done.
            settings: by name.

        Returns:
            Why those of some cannot be, such as of another model.

        Raises:
            UserError: it is all of them.
        """
        refused = []
        for item in items:
            try:
                with self.workspace.changed:
                    if item.in_queue:
                        self._keep_for_later(item, settings)
                        continue
                self.library.change_settings(item, settings)
            except UserError as error:
                refused.append(str(error))
        if refused and len(refused) == len(items):
            raise UserError(refused[0])
        return refused

    def _keep_for_later(self, item: Item, settings: dict[str, Any]) -> None:
        """Keep thresholds for what will be found in an item of the queue."""
        segmenter = self.worker.segmenter
        complete_settings(settings, segmenter.source.classes, segmenter.source.postprocess,
                          segmenter.keep or 1.0, item.name)
        with self.workspace.update(item):
            item.next_settings = settings


def _made_by(method: Mapping[str, Any]) -> str:
    """Name the model and the program that have looked at an item, where that is known."""
    return f'{method["model"]["name"]}, mmsart {method["mmsart"]}' if method else ''


def _as_key(read: Mapping[str, Any]) -> str:
    """Write options of reading as what compares equal for the same ones."""
    return json.dumps(read, sort_keys=True)

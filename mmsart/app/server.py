"""The server of the page: `create_app`."""
from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from mmsart import __version__
from mmsart.app.admission import clean_name, count_megapixels
from mmsart.app.comparison import TRUTH_SUFFIXES, Truths
from mmsart.app.counter import Counter
from mmsart.app.errors import ConflictError, NotFoundError
from mmsart.app.exports import measure, write_zip
from mmsart.app.folders import Folders
from mmsart.app.guard import Guard
from mmsart.app.items import DONE, RUNNING, STOPPED, WAITING, Item, as_read_options
from mmsart.app.library import CHANGEABLE, Library
from mmsart.app.limits import Limits
from mmsart.app.pictures import BLANK, TILE, Pictures
from mmsart.app.training_data import write_training_data
from mmsart.app.wire import encode_cells
from mmsart.app.worker import Segmenter, Worker
from mmsart.app.workspace import SECONDS_PER_DAY, Workspace
from mmsart.formats.names import DEFAULT_FORMATS, FORMATS
from mmsart.formats.saving import SaveOptions
from mmsart.imaging.readers import IMAGE_SUFFIXES
from mmsart.structures.image_result import class_colours
from mmsart.utils import UserError, readable
from mmsart.utils.cli import DISK_FULL

STATIC = Path(__file__).parent / 'static'
READ_OPTIONS: dict[str, tuple[type, ...]] = dict(
    axes=(str,), channel=(str, int), series=(int,), pixel_size=(int, float), normalize=(str, list))
READ_EXPECTED = dict(
    axes='letters such as TYX', channel='a number from 0 or a name', series='a whole number',
    pixel_size='micrometres', normalize='two grey values')
BINARY = 'application/octet-stream'
LEFT_OUT = 'x-left-out'
"""The header that says how many images could not be written into a ZIP file."""

log = logging.getLogger('mmsart.app')


def create_app(
        workspace: Workspace, segmenter: Segmenter, *, folders: Sequence[str | Path] = (),
        truth: Path | None = None, token: str | None = None,
        hosts: Sequence[str] | None = None, limits: Limits | None = None) -> FastAPI:
    """Make the server's application; its queue begins to work when it is started.

    Args:
        workspace: with the queue and its results.
        segmenter: finds cells, and keeps detections.
        folders: roots of the folders that may be read.
        truth: ``train.csv`` or COCO annotations to show beside predictions.
        token: that a browser must know; None asks for none.
        hosts: names by which the server may be called; None for any.
        limits: of what is sent.

    Returns:
        An ASGI application.

    Raises:
        UserError: the annotations are malformed, or a folder is missing.
    """
    limits = limits or Limits()
    page = _Page(workspace, segmenter, Folders(folders), Truths(truth, workspace.folder), limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        page.worker.start()
        page.counter.start()
        cleaning = asyncio.create_task(page.clean())
        yield
        cleaning.cancel()
        await run_in_threadpool(page.counter.end)
        await run_in_threadpool(page.worker.end)

    app = FastAPI(title='mmsart', lifespan=lifespan, docs_url=None, redoc_url=None,
                  openapi_url=None)
    app.add_middleware(Guard, token=token, hosts=hosts, limits=limits)
    app.add_exception_handler(UserError, _answer_user_error)
    app.add_exception_handler(ConflictError, _answer_conflict)
    app.add_exception_handler(NotFoundError, _answer_missing)
    app.add_exception_handler(OSError, _answer_full_disk)
    app.add_exception_handler(Exception, _answer_fault)
    _add_queue(app, page)
    _add_viewer(app, page)
    _add_exports(app, page)

    @app.get('/')
    def index() -> FileResponse:
        return FileResponse(STATIC / 'index.html', headers={'cache-control': 'no-cache'})

    app.mount('/static', _Static(directory=STATIC))
    return app


class _Static(StaticFiles):
    """Files of the page; a browser asks whether they have changed, so that an update shows."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers['cache-control'] = 'no-cache'
        return response


class _Page:
    """What the addresses share."""

    def __init__(self, workspace: Workspace, segmenter: Segmenter, folders: Folders,
                 truths: Truths, limits: Limits) -> None:
        self.workspace, self.folders, self.truths = workspace, folders, truths
        self.limits = limits
        self.library, self.pictures = Library(workspace), Pictures()
        self.worker = Worker(workspace, segmenter, self.library.ask_for_counts)
        self.counter = Counter(self.library)
        self.uploads = asyncio.Semaphore(limits.uploads_at_once)
        self.adding = threading.Lock()  # of folders: each sees what the one before has added

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
                del facts['frame_counts']
                facts['counts'], facts['counted'] = item.facts.counts, item.facts.counted
                facts['frames'], facts['unreadable'] = item.facts.frames, item.facts.unreadable
                facts['colours'] = class_colours(len(item.facts.classes), item.facts.palette)
                facts['postprocess'] = {name: item.facts.postprocess[name] for name in CHANGEABLE}
            plain['truth'] = item.state == DONE and self.truths.find(item) is not None
            plain['truth_problem'] = self.truths.problem(item) if item.state == DONE else ''
        return plain

    def items(self, ids: Any) -> list[Item]:
        """Find items by a list of ids, or all that are done."""
        if ids == 'all':
            return [item for item in self.workspace.items() if item.state == DONE]
        if ids == 'checked':
            return [item for item in self.workspace.items()
                    if item.state == DONE and item.checked]
        if not isinstance(ids, list):
            raise UserError(f'items: found {ids!r}, expected a list of ids, "checked" or "all"')
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
        self.library.forget(item)
        self.pictures.forget(item)

    async def clean(self) -> None:
        """Remove what has expired, at once and then every day."""
        while True:
            for item in await run_in_threadpool(self.workspace.expire, self.limits.keep_days):
                log.info('%s: removed after %d days', item.name, self.limits.keep_days)
            await asyncio.sleep(SECONDS_PER_DAY)

    async def receive(self, request: Request, suffix: str) -> tuple[Path, str]:
        """Write the body of a request to a file of the workspace; give the digest of its bytes too.

        Raises:
            HTTPException: 413, it is too long; 400, it is empty or breaks off.
        """
        async with self.uploads:
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


def _add_queue(app: FastAPI, page: _Page) -> None:
    """Add what brings images in and shows how far they are."""
    workspace = page.workspace

    @app.get('/api/state')
    def state(since: str = '') -> JSONResponse:
        version = f'{workspace.version}.{page.truths.version}'
        known = dict(version=version, paused=workspace.paused,
                     seconds_left=page.worker.seconds_left())
        if since == version:
            return JSONResponse(known)
        return JSONResponse(known | dict(  # as it is: FastAPI would copy all items first
            items=[page.describe(item) for item in workspace.items()], model=page.model(),
            truths=page.truths.version,
            formats=[dict(name=name, what=what, default=name in DEFAULT_FORMATS)
                     for name, what in FORMATS.items()],
            roots=[readable(str(root)) for root in page.folders.roots], tile=TILE,
            keep_days=page.limits.keep_days,
            kept=[item.name for item in workspace.overdue(page.limits.keep_days)],
            upload_bytes=page.limits.upload_bytes,
            suffixes=IMAGE_SUFFIXES, program=f'mmsart {__version__}'))

    @app.post('/api/files')
    async def add_file(request: Request, name: str, read: str = '{}') -> dict[str, Any]:
        name, options = clean_name(name), _read_options(_parse(read))
        page.check_room(1)
        path, digest = await page.receive(request, Path(name).suffix.lower())
        try:
            size = await run_in_threadpool(
                count_megapixels, path, name, page.limits, options.get('series'))
            item, known = await run_in_threadpool(
                _add_upload, workspace, name, path, options, size, digest)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return page.describe(item) | dict(known=known)

    @app.get('/api/folders')
    def list_folder(path: str = '', find: str = '') -> dict[str, Any]:
        return vars(page.folders.look(path or page.folders.roots[0], find))

    @app.post('/api/folders')
    async def add_folder(request: Request) -> dict[str, Any]:
        asked = await _json(request, page.limits)
        def add() -> dict[str, Any]:
            with page.adding:
                return _add_folder(page, asked)

        return await run_in_threadpool(add)

    @app.post('/api/queue')
    async def change_queue(request: Request) -> dict[str, Any]:
        action = (await _json(request, page.limits)).get('action')
        if action in ('pause', 'resume'):
            workspace.paused = action == 'pause'
        elif action == 'cancel':
            await run_in_threadpool(_stop_all, page)
        elif action == 'again':
            for item in workspace.items():
                if item.state == STOPPED:
                    await run_in_threadpool(_run_again, page, item, {})
        elif action == 'clear':
            for item in workspace.items():
                if item.state not in (WAITING, RUNNING):
                    await run_in_threadpool(page.remove, item)
        else:
            raise UserError(f'action: found {action!r}, expected pause, resume, cancel, '
                            'again or clear')
        return dict(version=workspace.version)

    @app.post('/api/items/{item_id}')
    async def change_item(item_id: str, request: Request) -> dict[str, Any]:
        item, asked = page.workspace.get(item_id), await _json(request, page.limits)
        action = asked.get('action')
        if action == 'cancel':
            _stop(page, item)
        elif action == 'again':
            await run_in_threadpool(_run_again, page, item, asked)
        elif action in ('check', 'uncheck'):
            with workspace.update(item):
                item.checked = action == 'check'
        else:
            raise UserError(f'action: found {action!r}, expected cancel, again, check or uncheck')
        return page.describe(item)

    @app.delete('/api/items/{item_id}')
    def remove(item_id: str) -> dict[str, Any]:
        page.remove(page.workspace.get(item_id))
        return dict(version=workspace.version)

    @app.post('/api/truth')
    async def add_truth(request: Request, name: str) -> dict[str, Any]:
        suffix = Path(name).suffix.lower()
        if suffix not in TRUTH_SUFFIXES:
            raise UserError(f'truth: found the ending {suffix!r}, expected train.csv or COCO '
                            'annotations as .json')
        path, _ = await page.receive(request, suffix)
        try:
            count = await run_in_threadpool(page.truths.take, path, suffix)
        except UserError as error:
            raise UserError(str(error).replace(str(path), Path(name).name)) from error
        finally:
            path.unlink(missing_ok=True)
        done = page.items('all')
        return dict(images=count, pictures=len(done),
                    found=sum(page.truths.find(item) is not None for item in done))


def _add_viewer(app: FastAPI, page: _Page) -> None:
    """Add what is looked at and corrected."""
    library = page.library

    @app.get('/api/items/{item_id}/frames/{frame}/tiles/{level}/{column}/{row}')
    def tile(item_id: str, frame: int, level: int, column: int, row: int) -> Response:
        data = page.pictures.pyramid(page.workspace.get(item_id), frame).tile(level, column, row)
        return Response(data, media_type='image/png',
                        headers={'cache-control': 'private, max-age=3600'})

    @app.get('/api/items/{item_id}/thumbnail')
    def thumbnail(item_id: str) -> Response:
        item = page.workspace.get(item_id)
        try:
            data, keep = page.pictures.pyramid(item, 0).thumbnail(), 'private, max-age=3600'
        except UserError:  # the item itself says what is wrong
            data, keep = BLANK, 'no-store'
        return Response(data, media_type='image/png', headers={'cache-control': keep})

    @app.post('/api/items/{item_id}/frames/{frame}/cells')
    async def cells(item_id: str, frame: int, request: Request) -> Response:
        item, asked = page.workspace.get(item_id), await _json(request, page.limits)
        return await run_in_threadpool(_cells, page, item, frame, asked.get('settings'))

    @app.post('/api/items/{item_id}/frames/{frame}/edits')
    async def edit(item_id: str, frame: int, request: Request) -> Response:
        item, asked = page.workspace.get(item_id), await _json(request, page.limits)
        await run_in_threadpool(library.edit, item, frame, asked)
        return await run_in_threadpool(_cells, page, item, frame, asked.get('settings'))

    @app.post('/api/items/{item_id}/frames/{frame}/measurements')
    async def measurements(item_id: str, frame: int, request: Request) -> Any:
        item, asked = page.workspace.get(item_id), await _json(request, page.limits)
        ids = asked.get('ids')
        if not isinstance(ids, list) or not all(isinstance(each, int) for each in ids):
            raise UserError(f'ids: found {ids!r}, expected a list of cells')
        return await run_in_threadpool(measure, library, item, frame, ids)

    @app.get('/api/items/{item_id}/truth')
    def truth(item_id: str) -> Response:
        return Response(page.truths.encode(library, page.workspace.get(item_id)), media_type=BINARY)

    @app.post('/api/settings')
    async def change_settings(request: Request) -> dict[str, Any]:
        asked = await _json(request, page.limits)
        settings = asked.get('settings')
        if not isinstance(settings, dict):
            raise UserError(f'settings: found {settings!r}, expected settings by name')
        refused = await run_in_threadpool(
            _change_settings, library, page.items(asked.get('items')), settings)
        return dict(version=page.workspace.version, refused=refused)


def _add_exports(app: FastAPI, page: _Page) -> None:
    """Add what is written."""

    @app.post('/api/export')
    async def export(request: Request) -> FileResponse:
        asked = await _json(request, page.limits)
        formats = asked.get('formats')
        if not isinstance(formats, list):
            raise UserError(f'formats: found {formats!r}, expected a list of names')
        options = SaveOptions(bool(asked.get('numbers')), bool(asked.get('cellprofiler')))
        folder = tempfile.TemporaryDirectory(dir=page.workspace.incoming)
        path = Path(folder.name) / 'mmsart.zip'
        try:
            left_out = await run_in_threadpool(
                write_zip, page.library, page.items(asked.get('items')),
                [str(name) for name in formats], path, options)
        except BaseException:
            folder.cleanup()
            raise
        return _Once(path, {LEFT_OUT: str(len(left_out))}, folder.cleanup)

    @app.post('/api/training-data')
    async def training_data(request: Request) -> dict[str, Any]:
        items = page.items((await _json(request, page.limits)).get('items'))
        target = page.workspace.folder / 'training_data' / time.strftime('%Y-%m-%d_%H-%M-%S')
        return vars(await run_in_threadpool(
            write_training_data, page.library, items, target))


class _Once(FileResponse):
    """A file that is removed when it is sent, or when the browser has gone."""

    def __init__(self, path: Path, headers: dict[str, str], remove: Callable[[], None]) -> None:
        super().__init__(path, headers=headers, media_type='application/zip', filename=path.name)
        self._remove = remove

    async def __call__(self, *args: Any) -> None:
        try:
            await super().__call__(*args)
        finally:
            self._remove()


def _cells(page: _Page, item: Item, frame: int, settings: dict[str, Any] | None = None,
           ) -> Response:
    """Answer with the cells of a frame and what can be undone."""
    if settings is not None and not isinstance(settings, dict):
        raise UserError(f'settings: found {settings!r}, expected settings by name')
    revision = item.revision  # before the look: one too low makes a page look again
    found, corrections = page.library.look(item, frame, settings)
    data = encode_cells(found, dict(
        revision=revision, done=corrections.done, edits=[edit.kind for edit in corrections.edits]))
    return Response(data, media_type=BINARY)


def _change_settings(library: Library, items: Sequence[Item], settings: dict[str, Any],
                     ) -> list[str]:
    """Change the thresholds of items; say of which ones they cannot be, such as another model's."""
    refused = []
    for item in items:
        try:
            library.change_settings(item, settings)
        except UserError as error:
            refused.append(str(error))
    if refused and len(refused) == len(items):
        raise UserError(refused[0])
    return refused


def _add_upload(workspace: Workspace, name: str, path: Path, read: dict[str, Any], size: float,
                digest: str) -> tuple[Item, bool]:
    """Put an upload into the queue, but once; tell whether it was there before."""
    with workspace.changed:
        for item in workspace.items():
            if (item.digest, item.name, item.read) == (digest, name, read):
                path.unlink()
                return item, True
        return workspace.add(name, path, True, read, size, digest), False


def _add_folder(page: _Page, asked: dict[str, Any]) -> dict[str, Any]:
    options = _read_options(asked.get('read', {}))
    found = page.folders.images(str(asked.get('path', '')), bool(asked.get('recursive')))
    known = {(item.path, json.dumps(item.read, sort_keys=True)) for item in page.workspace.items()}
    new = [(path, name) for path, name in found
           if (str(path), json.dumps(options, sort_keys=True)) not in known]
    page.check_room(len(new))
    refused, added = [], 0
    for path, name in new:
        try:
            size = count_megapixels(path, name, page.limits, options.get('series'))
        except (UserError, OSError) as error:
            refused.append(readable(str(error)))
            continue
        page.workspace.add(name, path, False, options, size)
        added += 1
    return dict(added=added, known=len(found) - len(new), refused=refused)


def _run_again(page: _Page, item: Item, asked: dict[str, Any]) -> None:
    """Put an item into the queue anew, perhaps read in another way.

    What was found and corrected stands again if nothing comes of it.
    """
    read = _read_options(asked['read']) if 'read' in asked else item.read
    with page.workspace.update(item):
        if item.state in (WAITING, RUNNING):
            raise UserError(f'{item.name}: found it in the queue, expected an image that is not')
        item.read_before, item.read = item.read, read
        item.state, item.error, item.progress = WAITING, '', 0.0
        item.runs += 1
    # Only now: what is asked for meanwhile would bring the old ones back.
    page.library.forget(item)
    page.pictures.forget(item)


def _stop(page: _Page, item: Item) -> None:
    """Take an item out of the queue."""
    with page.workspace.changed:
        if item.state in (WAITING, RUNNING):  # the worker may have finished it meanwhile
            with page.workspace.update(item):
                item.state, item.progress = STOPPED, 0.0
                given_back = item.give_back()
            if given_back:
                page.library.ask_for_counts(item)


def _stop_all(page: _Page) -> None:
    """Empty the queue."""
    for item in page.workspace.items():
        _stop(page, item)


def _read_options(given: Any) -> dict[str, Any]:
    """Check options of reading that a page has sent."""
    if not isinstance(given, dict):
        raise UserError(f'read: found {given!r}, expected options by name')
    options = {name: value for name, value in given.items() if value not in (None, '')}
    for name, value in options.items():
        if name not in READ_OPTIONS or not isinstance(value, READ_OPTIONS[name]):
            raise UserError(f'read: found {name}={value!r}, expected '
                            + (READ_EXPECTED.get(name) or f'one of {", ".join(READ_OPTIONS)}'))
    normalize = options.get('normalize')
    if isinstance(normalize, list) and not (
            len(normalize) == 2 and all(isinstance(each, int | float) for each in normalize)):
        raise UserError(f'read: normalize: found {normalize!r}, expected two numbers')
    if isinstance(normalize, str) and normalize != 'none':
        raise UserError(f'read: normalize: found {normalize!r}, expected two numbers or none')
    as_read_options(options)  # refuses what fits no file
    return options


async def _json(request: Request, limits: Limits) -> dict[str, Any]:
    """Read a request's JSON object, no longer than allowed."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limits.json_bytes:
            raise HTTPException(413, 'found too long a request')
    return _parse(bytes(body) or b'{}')


def _parse(text: str | bytes) -> dict[str, Any]:
    try:
        plain = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        raise UserError('found no JSON, expected an object') from None
    if not isinstance(plain, dict):
        raise UserError('found JSON of another kind, expected an object')
    return plain


def _finite(text: str) -> float:
    """Read a number; what JSON cannot hold could be kept, but never answered."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


async def _answer_user_error(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse(dict(detail=readable(str(error))), 400)


async def _answer_conflict(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse(dict(detail=readable(str(error))), 409)


async def _answer_missing(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse(dict(detail=str(error)), 404)


async def _answer_full_disk(_: Request, error: Exception) -> JSONResponse:
    """Answer where the disk is full; other errors of the system are faults."""
    if not isinstance(error, OSError) or error.errno not in DISK_FULL:
        raise error
    return JSONResponse(dict(detail=f'{error.strerror}, expected room for what is written'), 507)


async def _answer_fault(_: Request, error: Exception) -> JSONResponse:
    """Answer where the program itself is at fault; the server writes the traceback to its log."""
    return JSONResponse(dict(detail=readable(
        f'found a fault of the program, its terminal says more: {type(error).__name__}: {error}')),
        500)

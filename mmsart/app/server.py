"""The server of the page: `create_app` and its addresses."""
from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from mmsart.app.admission import clean_name
from mmsart.app.comparison import TRUTH_SUFFIXES, Truths
from mmsart.app.errors import ConflictError, NotFoundError, describe_full_disk, name_fields
from mmsart.app.exports import measure, write_zip
from mmsart.app.folders import Folders
from mmsart.app.guard import Guard
from mmsart.app.limits import Limits
from mmsart.app.page import Page
from mmsart.app.pictures import BLANK
from mmsart.app.requests import parse_json, read_changes, read_json, read_options
from mmsart.app.training_data import write_training_data
from mmsart.app.worker import Segmenter
from mmsart.app.workspace import Workspace
from mmsart.formats.saving import SaveOptions
from mmsart.report.truth import Truth
from mmsart.utils import UserError, readable

STATIC = Path(__file__).parent / 'static'
BINARY = 'application/octet-stream'
START = 'x-start'
"""The header that says which server a page means, see :attr:`Page.start`."""

LEFT_OUT = 'x-left-out'
"""The header that says how many images could not be written into a ZIP file."""


def create_app(
        workspace: Workspace, segmenter: Segmenter, *, folders: Sequence[str | Path] = (),
        truth: Mapping[str, Truth] | None = None, token: str | None = None,
        hosts: Sequence[str] | None = None, limits: Limits | None = None) -> FastAPI:
    """Make the server's application; its queue begins to work when it is started.

    Args:
        workspace: with the queue and its results.
        segmenter: finds cells, and keeps detections.
        folders: roots of the folders that may be read.
        truth: true cells of images by their names, to show beside predictions.
        token: that a browser must know; None asks for none.
        hosts: names by which the server may be called; None for any.
        limits: of what is sent.

    Returns:
        An ASGI application.

    Raises:
        UserError: annotations that a browser sent are malformed, or a folder is missing.
    """
    limits = limits or Limits()
    page = Page(workspace, segmenter, Folders(folders), Truths(truth or {}, workspace.folder),
                limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        page.worker.start()
        page.counter.start()
        cleaning = asyncio.create_task(page.clean())
        yield
        cleaning.cancel()
        await run_in_threadpool(page.counter.end)
        await run_in_threadpool(page.worker.end)

    def check_start(request: Request) -> None:
        # Another workspace has other pictures under the same ids.
        if (request.headers.get(START) or page.start) != page.start:
            raise ConflictError('found a page from before mmsart app was started anew, expected '
                                'one that is loaded again: please try again in a moment')

    async def answer_user_error(request: Request, error: Exception) -> JSONResponse:
        if 'item_id' in request.path_params:
            try:
                page.workspace.get(request.path_params['item_id'])
            except NotFoundError as missing:  # it was removed meanwhile, which is what is wrong
                return await _answer_missing(request, missing)
        return JSONResponse(dict(detail=name_fields(readable(str(error)))), 400)

    app = FastAPI(title='mmsart', dependencies=[Depends(check_start)], lifespan=lifespan,
                  docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, token=token, hosts=hosts, limits=limits)
    app.add_exception_handler(UserError, answer_user_error)
    app.add_exception_handler(ConflictError, _answer_conflict)
    app.add_exception_handler(NotFoundError, _answer_missing)
    app.add_exception_handler(OSError, _answer_full_disk)
    app.add_exception_handler(Exception, _answer_fault)
    _add_sources(app, page)
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


def _add_sources(app: FastAPI, page: Page) -> None:
    """Add what brings images and truth in."""

    @app.post('/api/files')
    async def add_file(request: Request, name: str, read: str = '{}',
                       twice: bool = False) -> dict[str, Any]:
        name, options = clean_name(name), read_options(parse_json(read))
        page.check_room(1)
        path, digest = await page.receive(request, Path(name).suffix.lower())
        try:
            item, outcome = await run_in_threadpool(
                page.add_upload, name, path, options, digest, twice)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return page.describe(item) | dict(outcome=outcome)

    @app.get('/api/folders')
    def list_folder(path: str = '', find: str = '') -> dict[str, Any]:
        return vars(page.folders.look(path or page.folders.roots[0], find))

    @app.post('/api/folders')
    async def add_folder(request: Request) -> dict[str, Any]:
        asked = await read_json(request, page.limits)
        return await run_in_threadpool(
            page.add_folder, str(asked.get('path', '')), bool(asked.get('recursive')),
            read_options(asked.get('read', {})), bool(asked.get('twice')))

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


def _add_queue(app: FastAPI, page: Page) -> None:
    """Add what shows how far images are, and changes that."""
    workspace = page.workspace

    @app.get('/api/state')
    def state(since: str = '') -> JSONResponse:
        return JSONResponse(page.state(since))  # as it is: FastAPI would copy all items first

    @app.post('/api/queue')
    async def change_queue(request: Request) -> dict[str, Any]:
        action = (await read_json(request, page.limits)).get('action')
        if action in ('pause', 'resume'):
            workspace.paused = action == 'pause'
        elif action == 'cancel':
            for item in workspace.items():
                await run_in_threadpool(page.stop, item)
        elif action == 'again':
            await run_in_threadpool(page.run_stopped_again)
        elif action == 'clear':
            for item in workspace.items():
                if not item.in_queue:
                    await run_in_threadpool(page.remove, item)
        else:
            raise UserError(f'action: found {action!r}, expected pause, resume, cancel, '
                            'again or clear')
        return dict(version=workspace.version)

    @app.post('/api/reread')
    async def reread(request: Request) -> dict[str, Any]:
        asked = await read_json(request, page.limits)
        again = await run_in_threadpool(
            page.read_anew, asked.get('items'), read_changes(asked.get('read', {})),
            asked.get('lost', {}))
        return dict(version=workspace.version, again=again)

    @app.post('/api/items/{item_id}')
    async def change_item(item_id: str, request: Request) -> dict[str, Any]:
        item, asked = page.workspace.get(item_id), await read_json(request, page.limits)
        action = asked.get('action')
        if action == 'cancel':
            page.stop(item)
        elif action in ('check', 'uncheck'):
            with workspace.update(item):
                item.checked = action == 'check'
        else:
            raise UserError(f'action: found {action!r}, expected cancel, check or uncheck')
        return page.describe(item)

    @app.delete('/api/items/{item_id}')
    def remove(item_id: str) -> dict[str, Any]:
        page.remove(page.workspace.get(item_id))
        return dict(version=workspace.version)


def _add_viewer(app: FastAPI, page: Page) -> None:
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
        item, asked = page.workspace.get(item_id), await read_json(request, page.limits)
        return Response(await run_in_threadpool(
            page.cells, item, frame, asked.get('settings')), media_type=BINARY)

    @app.post('/api/items/{item_id}/frames/{frame}/edits')
    async def edit(item_id: str, frame: int, request: Request) -> Response:
        item, asked = page.workspace.get(item_id), await read_json(request, page.limits)
        return Response(await run_in_threadpool(page.edit, item, frame, asked), media_type=BINARY)

    @app.post('/api/items/{item_id}/frames/{frame}/measurements')
    async def measurements(item_id: str, frame: int, request: Request) -> Any:
        item, asked = page.workspace.get(item_id), await read_json(request, page.limits)
        ids = asked.get('ids')
        if not isinstance(ids, list) or not all(isinstance(each, int) for each in ids):
            raise UserError(f'ids: found {ids!r}, expected a list of cells')
        return await run_in_threadpool(measure, library, item, frame, ids)

    @app.get('/api/items/{item_id}/truth')
    def truth(item_id: str) -> Response:
        return Response(page.truths.encode(library, page.workspace.get(item_id)), media_type=BINARY)

    @app.post('/api/settings')
    async def change_settings(request: Request) -> dict[str, Any]:
        asked = await read_json(request, page.limits)
        settings = asked.get('settings')
        if not isinstance(settings, dict):
            raise UserError(f'settings: found {settings!r}, expected settings by name')
        refused = await run_in_threadpool(
            page.change_settings, page.items(asked.get('items'), gone=True), settings)
        return dict(version=page.workspace.version, refused=refused)


def _add_exports(app: FastAPI, page: Page) -> None:
    """Add what is written."""

    @app.post('/api/export')
    async def export(request: Request) -> FileResponse:
        asked = await read_json(request, page.limits)
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
        items = page.items((await read_json(request, page.limits)).get('items'))
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


async def _answer_conflict(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse(dict(detail=readable(str(error))), 409)


async def _answer_missing(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse(dict(detail=str(error)), 404)


async def _answer_full_disk(_: Request, error: Exception) -> JSONResponse:
    """Answer where the disk is full; other errors of the system are faults."""
    problem = describe_full_disk(error)
    if problem is None:
        raise error
    return JSONResponse(dict(detail=problem), 507)


async def _answer_fault(_: Request, error: Exception) -> JSONResponse:
    """Answer where the program itself is at fault; the server writes the traceback to its log."""
    return JSONResponse(dict(detail=readable(
        f'found a fault of the program, its terminal says more: {type(error).__name__}: {error}')),
        500)

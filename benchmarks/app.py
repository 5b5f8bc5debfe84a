"""The page with 5,000 cells on 5,000 x 5,000 pixels: first picture and a slider's answer.

The cells are as a detector leaves them: in tiles that overlap, some of them found twice. The first
rows are processor time. The browser is a Chromium of this machine without a window; it draws with
the processor alone, and its rows are by the clock, with whatever else the machine is doing, but for
the one of processor time.

Example: ``python benchmarks/app.py``
"""
import argparse
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import uvicorn
from common import Row, judge, run
from playwright.sync_api import CDPSession, Page, sync_playwright

from mmsart.app.items import DONE, Facts
from mmsart.app.results import save_kept
from mmsart.app.server import create_app
from mmsart.app.wire import encode_cells
from mmsart.app.worker import kept_name
from mmsart.app.workspace import Workspace
from mmsart.imaging.tiles import tile_grid
from mmsart.postprocessing import complete_config
from mmsart.postprocessing.chooser import Chooser
from mmsart.postprocessing.kept import KeptCrop, KeptFrame
from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks

SIDE, CELLS, TILE, OVERLAP = 5_000, 5_000, 704, 192
DOUBLES = 0.4  # share of the cells that the detector finds once more, shifted
FIRST_MS, SLIDER_MS = 2_000, 200
CLASSES = ('shsy5y', 'astro', 'cort')
POSTPROCESS = complete_config(dict(
    score_thr=0.2, min_area=30, max_area=6_000, nms_iou_thr=0.4, remove_overlap=True,
    max_lost_share=0.6), CLASSES)
CHROMIUM = shutil.which('chromium')  # without one, what playwright has installed


def draw_cells(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Draw ellipses of 14 to 70 pixels, some of which lie on each other.

    Returns:
        The picture, boxes (N, 4) and patches.
    """
    image = rng.normal(128, 6, (SIDE, SIDE)).clip(0, 255).astype(np.uint8)
    columns = int(np.ceil(np.sqrt(CELLS)))
    pitch = SIDE / columns
    boxes, patches = [], []
    for number in range(CELLS):
        y, x = (np.array(divmod(number, columns)) + 0.5) * pitch + rng.uniform(-8, 8, 2)
        radii = rng.uniform(9, 36), rng.uniform(7, 20)
        side = int(max(radii)) + 2
        patch: np.ndarray = np.zeros((2 * side + 1, 2 * side + 1), np.uint8)
        cv2.ellipse(patch, (side, side), (int(radii[0]), int(radii[1])),
                    float(rng.uniform(0, 180)), 0, 360, (1,), -1)
        left, top = max(0, int(x) - side), max(0, int(y) - side)
        part = patch[:SIDE - top, :SIDE - left]
        bottom, right = top + part.shape[0], left + part.shape[1]
        window = image[top:bottom, left:right]
        window[part > 0] = np.clip(window[part > 0].astype(int) + 25, 0, 255)
        boxes.append((left, top, right, bottom))
        patches.append(part)
    return image, np.array(boxes), patches


def keep(boxes: np.ndarray, patches: list[np.ndarray], rng: np.random.Generator) -> KeptFrame:
    """Make of cells what a detector keeps of them in each tile."""
    scores = rng.uniform(0.1, 0.95, len(boxes))
    twice = rng.permutation(len(boxes))[:int(DOUBLES * len(boxes))]
    shift = np.tile(rng.integers(-3, 4, (len(twice), 2)), 2)
    shifted = boxes[twice] + shift
    inside = (shifted[:, :2] >= 0).all(1) & (shifted[:, 2:] <= SIDE).all(1)
    boxes = np.concatenate([boxes, shifted[inside]])
    patches = patches + [patches[number] for number in twice[inside]]
    scores = np.concatenate([scores, scores[twice[inside]] * rng.uniform(0.5, 1, inside.sum())])
    labels = rng.integers(0, len(CLASSES), len(boxes))
    crops = []
    for tile in tile_grid((SIDE, SIDE), (TILE, TILE), OVERLAP):
        x1, y1, x2, y2 = tile.box
        near = np.flatnonzero((boxes[:, 0] < x2) & (boxes[:, 2] > x1)
                              & (boxes[:, 1] < y2) & (boxes[:, 3] > y1))
        cut = np.clip(boxes[near], [x1, y1, x1, y1], [x2, y2, x2, y2])
        parts = [patches[i][b - boxes[i][1]:d - boxes[i][1], a - boxes[i][0]:c - boxes[i][0]]
                 for i, (a, b, c, d) in zip(near, cut, strict=True)]
        masks = PatchMasks.from_patches(parts, cut - [x1, y1, x1, y1], TILE, TILE)
        crops.append(KeptCrop(Detections(scores[near], labels[near], masks, masks.boxes),
                              tile.box, tile.core))
    return KeptFrame.number(crops, (SIDE, SIDE), 'mosaic')


def make_workspace(folder: Path, frame: KeptFrame, image: np.ndarray) -> Workspace:
    """Put a picture with its results where the page finds them."""
    workspace = Workspace(folder / 'workspace')
    path = folder / 'mosaic.png'
    cv2.imwrite(str(path), image)
    item = workspace.add('mosaic.png', path, False, {}, SIDE * SIDE / 1e6)
    save_kept(workspace.path(item, kept_name(0)), frame)
    with workspace.update(item):
        item.state, item.progress = DONE, 1.0
        item.facts = Facts(SIDE, SIDE, (1, 1), CLASSES, None, None, '', None, None, (),
                           POSTPROCESS, 0.5, (1, 1, 1), [(1, 1, 1)])
    return workspace


def measure(args: argparse.Namespace) -> list[Row]:
    """Time the server alone, then the page."""
    rng = np.random.default_rng(0)
    image, boxes, patches = draw_cells(rng)
    frame = keep(boxes, patches, rng)
    rows = server_rows(frame, args.rounds)
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(Path(folder), frame, image)
        segmenter: Any = SimpleNamespace(keep=0.5, source=SimpleNamespace(
            name='none', classes=CLASSES, palette=None))
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(
            create_app(workspace, segmenter, folders=[folder]), port=port, log_level='warning'))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            rows += page_rows(f'http://127.0.0.1:{port}/', args.rounds)
        finally:
            server.should_exit = True
            thread.join()
    return rows


def server_rows(frame: KeptFrame, rounds: int) -> list[Row]:
    """Time, of the processor, the choice among kept detections, and writing it down."""
    begin = time.process_time()
    chooser = Chooser(frame)
    loading = 1e3 * (time.process_time() - begin)
    choosing, writing, counts = [], [], []
    for thr in np.linspace(0.15, 0.6, rounds):
        settings = {**POSTPROCESS, 'score_thr': dict.fromkeys(CLASSES, float(thr))}
        begin = time.process_time()
        cells = chooser.choose(CLASSES, settings)
        middle = time.process_time()
        block = encode_cells(cells, {})
        writing.append(1e3 * (time.process_time() - middle))
        choosing.append(1e3 * (middle - begin))
        counts.append(len(cells))
    begin = time.process_time()
    frame.finish(CLASSES, POSTPROCESS)
    plainly = 1e3 * (time.process_time() - begin)
    return [
        Row(f'post-process {len(frame):,} kept detections as a prediction does', None, plainly,
            'ms'),
        Row('find once which of them share pixels', None, loading, 'ms'),
        Row(f'choose {min(counts):,} to {max(counts):,} cells of them',
            None, float(np.median(choosing)), 'ms'),
        Row(f'write {counts[-1]:,} cells, {len(block) / 1e6:.2f} MB', None,
            float(np.median(writing)), 'ms')]


def page_rows(address: str, rounds: int) -> list[Row]:
    """Time the page in a browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        pages = [browser.new_page(viewport=dict(width=1600, height=1000))
                 for _ in range(max(3, rounds // 2))]
        firsts = []
        for page in pages:
            page.goto(address)
            firsts.append(first_picture(page))
            if page is not pages[-1]:
                page.close()
        count = int(page.locator('#view').get_attribute('data-cells') or 0)
        answers, busy = [], []
        metrics = page.context.new_cdp_session(page)
        metrics.send('Performance.enable', dict(timeDomain='threadTicks'))
        for thr in np.linspace(0.15, 0.6, 2 * rounds):
            begin = time.process_time() + thread_seconds(metrics)
            answers.append(slide(page, thr))
            busy.append(1e3 * (time.process_time() + thread_seconds(metrics) - begin))
        zoomed = redraw(page)
        browser.close()
    first, answer = float(np.median(firsts)), float(np.median(answers))
    return [
        Row(f'page: picture and {count:,} cells drawn, from the start of the page', None, first,
            'ms', bar=judge(f'<= {FIRST_MS / 1e3:g} s', max(firsts) <= FIRST_MS)),
        Row('page: score slider moved until the cells are drawn, median', None, answer, 'ms',
            bar=judge(f'<= {SLIDER_MS} ms', answer <= SLIDER_MS)),
        Row('page: score slider, slowest', None, max(answers), 'ms',
            bar=judge(f'<= {SLIDER_MS} ms', max(answers) <= SLIDER_MS)),
        Row('page: score slider, processor time of the server and of the page, median', None,
            float(np.median(busy)), 'ms'),
        Row('page: one step of zoom, all cells in sight', None, zoomed, 'ms')]


def first_picture(page: Page) -> float:
    """Wait for picture and cells; give the ms since the page began to load."""
    page.wait_for_function('''() => {
        const { picture, cells } = document.getElementById('view').dataset;
        return picture === 'whole' && cells > 0;
    }''', polling='raf')
    return page.evaluate('() => performance.now()')


def thread_seconds(metrics: CDPSession) -> float:
    """Return the processor time that the page's main thread has taken."""
    found = metrics.send('Performance.getMetrics')['metrics']
    return next(each['value'] for each in found if each['name'] == 'TaskDuration')


def slide(page: Page, thr: float) -> float:
    """Move the sliders of all classes at once; give the ms until the cells are drawn."""
    return page.evaluate('''thr => new Promise(resolve => {
        const view = document.getElementById('view'), begin = performance.now();
        const before = view.dataset.drawn;
        for (const slider of document.querySelectorAll('[data-key="score_thr"]')) {
            slider.value = thr;
            slider.dispatchEvent(new Event('input'));
        }
        const look = () => view.dataset.drawn !== before && !view.dataset.busy
            ? resolve(performance.now() - begin) : requestAnimationFrame(look);
        look();
    })''', float(thr))


def redraw(page: Page) -> float:
    """Zoom by a step; give the ms that drawing takes."""
    return page.evaluate('''() => new Promise(resolve => {
        const view = document.getElementById('view'), before = view.dataset.drawn;
        const begin = performance.now();
        document.getElementById('zoom-in').click();
        const look = () => view.dataset.drawn !== before
            ? resolve(performance.now() - begin) : requestAnimationFrame(look);
        look();
    })''')


if __name__ == '__main__':
    raise SystemExit(run(measure, __doc__))

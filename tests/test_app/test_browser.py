"""The page in a Chromium without a window: drop, run, slide, correct, export, reload."""
import base64
import io
import json
import os
import shutil
import socket
import threading
import time
import zipfile

import cv2
import numpy as np
import pytest
import tifffile

from mmsart.app.wire import encode_cells
from mmsart.app.workspace import Workspace
from mmsart.postprocessing import complete_config
from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks
from tests.test_app.fakes import CLASSES, POSTPROCESS, DiscSegmenter, draw_discs

server_module = pytest.importorskip('mmsart.app.server')
uvicorn = pytest.importorskip('uvicorn')
sync_api = pytest.importorskip('playwright.sync_api')
CHROMIUM = os.environ.get('CHROMIUM') or shutil.which('chromium') or shutil.which(
    'chromium-browser') or shutil.which('google-chrome')
pytestmark = pytest.mark.skipif(not CHROMIUM, reason='no Chromium on this machine')
PATIENCE = 120_000  # milliseconds: a busy machine is no failure
DROP = '''([name, data]) => {
    const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name));
    const drop = document.getElementById('drop');
    for (const type of ['dragover', 'drop']) {
        drop.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true }));
    }
}'''
TOASTS = '''window.toasts = [];  // those seen so far: one is gone after seconds
addEventListener('DOMContentLoaded', () => {
    const toast = document.getElementById('toast');
    new MutationObserver(() => { if (toast.checkVisibility()) toasts.push(toast.textContent); })
        .observe(toast, { attributes: true, childList: true });
});'''


@pytest.fixture(scope='module')
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, timeout=PATIENCE,
            args=['--no-sandbox', '--disable-dev-shm-usage'])  # containers have little of it
        yield browser
        browser.close()


@pytest.fixture
def served(tmp_path):
    """Serve a workspace; give the address, the segmenter and a folder of pictures."""
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for number in range(2):
        cv2.imwrite(str(folder / f'dish {number}.png'), draw_discs(seed=number)[0])
    segmenter = DiscSegmenter()
    app = server_module.create_app(Workspace(tmp_path / 'workspace'), segmenter, folders=[folder],
                     hosts=('127.0.0.1',))
    # Uvicorn's own logging would close the log files of all other tests in this process.
    server = uvicorn.Server(uvicorn.Config(app, log_level='error', log_config=None))
    with socket.socket() as listening:  # held from the choice of the port on
        listening.bind(('127.0.0.1', 0))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            assert thread.is_alive(), 'the server has not started'
            time.sleep(0.01)
        yield f'http://127.0.0.1:{listening.getsockname()[1]}/', segmenter, folder
        segmenter.gate.set()
        server.should_exit = True
        thread.join()


@pytest.fixture
def page(browser, served):
    """Open the page; afterwards no error stands in its log, and it has asked no other host."""
    context = browser.new_context(viewport=dict(width=1400, height=900), accept_downloads=True)
    context.set_default_timeout(PATIENCE)
    context.add_init_script(TOASTS)
    page = context.new_page()
    errors, hosts = [], set()
    page.on('console', lambda message: errors.append(message.text)
            if message.type in ('error', 'warning') else None)
    page.on('pageerror', lambda error: errors.append(str(error)))
    page.on('request', lambda request: hosts.add(request.url.split('/')[2]))
    page.goto(served[0])
    page.allowed_errors = 0
    yield page
    assert len(errors) == page.allowed_errors, errors
    assert hosts == {served[0].split('/')[2]}  # blobs have the page's address inside theirs
    context.close()


def drop(page, name, image):
    data = cv2.imencode('.png', image)[1].tobytes()
    page.evaluate(DROP, [name, base64.b64encode(data).decode()])


def drop_discs(page):
    """Drop a picture of twelve cells and wait for them."""
    drop(page, 'discs.png', draw_discs()[0])
    wait_for_cells(page, 12)


def two_windows(page, address):
    """Drop a picture of twelve cells and open another window, which is returned, on it."""
    drop_discs(page)
    other = page.context.new_page()
    other.goto(address)
    wait_for_cells(other, 12)
    return other


def drop_stack(page, frames):
    """Drop a stack of times of four cells each and wait for the first."""
    file = io.BytesIO()
    tifffile.imwrite(file, np.stack([draw_discs(side=64, count=4)[0]] * frames), imagej=True,
                     metadata=dict(axes='TYX'))
    page.evaluate(DROP, ['stack.tif', base64.b64encode(file.getvalue()).decode()])
    wait_for_cells(page, 4)


def wait_for_cells(page, count):
    page.wait_for_selector(f'#view[data-cells="{count}"][data-picture="whole"]')


def wait_for_toast(page, text):
    page.wait_for_function('text => window.toasts.some(each => each.includes(text))', arg=text)


def shown(page):
    return int(page.locator('#total').text_content())


def place(page, x, y):
    """Give the screen's coordinates of a place of the image, found through the zoom to fit."""
    box = page.locator('#view').bounding_box()
    scale = 0.96 * min(box['width'], box['height']) / 256
    return (box['x'] + box['width'] / 2 + (x - 128) * scale,
            box['y'] + box['height'] / 2 + (y - 128) * scale)


def centre(number, count=12, side=256):
    """Give the centre of a disc of the picture."""
    columns = int(np.ceil(np.sqrt(count)))
    return ((number % columns + 0.5) * side / columns, (number // columns + 0.5) * side / columns)


def test_from_a_drop_to_files(page, tmp_path):
    page.wait_for_selector('text=Drop pictures of cells here')
    drop(page, '<img src=x onerror=alert(1)>.png', draw_discs()[0])
    wait_for_cells(page, 12)
    assert page.locator('#items .name').text_content() == '<img src=x onerror=alert(1)>.png'
    page.mouse.move(*place(page, *centre(1)))
    page.wait_for_selector('#hover:visible')
    assert 'round' in page.locator('#hover').text_content()
    assert page.locator('#facts dd').last.text_content() == 'discs, mmsart 1.2.3'

    slider = page.locator('[data-key="score_thr"][data-class="round"]')
    slider.focus()
    for _ in range(4):
        page.keyboard.press('PageUp')
    page.wait_for_function('() => Number(document.getElementById("total").value) < 12')
    page.wait_for_function('() => !document.getElementById("view").dataset.busy')
    few = shown(page)
    assert 0 < few < 12
    page.wait_for_selector(f'#items .what:has-text("{few} cell")')
    page.reload()
    wait_for_cells(page, few)
    page.click('#settings-reset')
    wait_for_cells(page, 12)

    page.click('#open-export')
    with page.expect_download() as download:
        page.click('#do-export')
    archive = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes()))
    table = archive.read('_img src=x onerror=alert(1)__cells.csv').decode()
    assert table.count('\n') == 13
    page.click('#do-training')
    page.wait_for_selector('#training-result code')
    assert 'mmsart train' in page.locator('#training-result code').text_content()
    page.keyboard.press('Escape')


def test_corrections_by_mouse(page):
    drop_discs(page)
    page.mouse.click(*place(page, *centre(0)))
    page.wait_for_selector('#selected td')
    page.keyboard.press('Delete')
    wait_for_cells(page, 11)
    page.keyboard.press('Control+z')
    wait_for_cells(page, 12)
    page.keyboard.press('Control+Shift+z')
    wait_for_cells(page, 11)

    x, y = centre(5)
    page.click('[data-tool="split"]')
    page.mouse.move(*place(page, x, y - 30))
    page.mouse.down()
    page.mouse.move(*place(page, x, y), steps=3)
    page.mouse.move(*place(page, x, y + 30), steps=3)
    page.mouse.up()
    wait_for_cells(page, 12)

    page.click('[data-tool="select"]')
    page.mouse.click(*place(page, x - 8, y))
    page.keyboard.down('Shift')
    page.mouse.click(*place(page, x + 8, y))
    page.keyboard.up('Shift')
    page.wait_for_selector('#merge:enabled')
    page.click('#merge')
    wait_for_cells(page, 11)

    page.keyboard.press('Escape')  # nothing may be selected: painting would add to it
    page.click('[data-tool="brush"]')
    page.mouse.move(*place(page, *centre(0)))
    page.mouse.down()
    page.mouse.move(*place(page, centre(0)[0] + 10, centre(0)[1] + 4), steps=4)
    page.mouse.up()
    wait_for_cells(page, 12)

    page.keyboard.press('p')
    x, y = centre(0)
    for dx, dy in ((-30, 28), (30, 28), (30, 34), (-30, 34)):
        page.mouse.click(*place(page, max(2, x + dx), y + dy))
    page.keyboard.press('Enter')
    wait_for_cells(page, 13)
    page.reload()
    wait_for_cells(page, 13)
    for count in (12, 11, 12, 11, 12):
        page.click('#undo')
        wait_for_cells(page, count)
    assert page.locator('#undo').is_disabled()
    page.wait_for_selector('#items .what:text-is("12 cells")')


def test_painting_and_erasing_without_another_key(page):
    drop_discs(page)

    def stroke(x, y, far=6):
        page.mouse.move(*place(page, x, y))
        page.mouse.down()
        page.mouse.move(*place(page, x + far, y), steps=3)
        page.mouse.up()

    page.mouse.click(*place(page, *centre(0)))
    page.wait_for_selector('#selected td')
    page.keyboard.press('b')
    stroke(*centre(13))  # the last row has room; the selected cell is far away
    wait_for_cells(page, 13)
    page.keyboard.press('r')
    page.fill('#brush-size', '3')
    page.focus('#view')
    stroke(*centre(1))  # not on the selected one
    wait_for_toast(page, 'erase: found no pixel')
    page.keyboard.press('Escape')
    page.keyboard.press('Escape')
    page.click('[data-tool="erase"]')
    stroke(*centre(1))
    page.wait_for_selector('#undo[title*="erase"]')
    wait_for_cells(page, 13)
    page.allowed_errors = 1  # the browser writes down that the server has refused it


def test_a_narrow_window_shows_the_picture_that_is_chosen(page):
    for name in ('a.png', 'b.png'):
        drop(page, name, draw_discs()[0])
    wait_for_cells(page, 12)
    wide = page.text_content('#zoom')
    page.set_viewport_size(dict(width=390, height=844))
    page.wait_for_function('wide => document.getElementById("zoom").value !== wide', arg=wide)
    assert page.evaluate('document.documentElement.scrollWidth') == 390
    page.click('#items li:nth-child(2) .item')  # below the picture
    page.wait_for_function('() => document.querySelector(".stage")'
                           '.getBoundingClientRect().top >= 0')
    page.set_viewport_size(dict(width=1400, height=900))
    page.wait_for_function('wide => document.getElementById("zoom").value === wide', arg=wide)
    page.click('#zoom-in')  # what the user has chosen stays
    zoomed = page.text_content('#zoom')
    page.set_viewport_size(dict(width=390, height=844))
    page.wait_for_function('() => document.getElementById("view").clientWidth === 390')
    assert page.text_content('#zoom') == zoomed
    page.click('#open-help')
    assert page.evaluate('document.activeElement.id') == 'help-title'
    assert page.evaluate('document.getElementById("help-dialog").scrollTop') == 0


def test_two_fingers_zoom(page):
    drop_discs(page)
    page.click('[data-tool="brush"]')
    box = page.locator('#view').bounding_box()
    x, y = box['x'] + box['width'] / 2, box['y'] + box['height'] / 2
    before = int(page.locator('#zoom').text_content().split()[0])
    fingers = page.context.new_cdp_session(page)

    def touch(kind, *places):
        fingers.send('Input.dispatchTouchEvent', dict(type=kind, touchPoints=[
            dict(x=x, y=y, id=number) for number, (x, y) in enumerate(places)]))

    touch('touchStart', (x - 40, y))
    touch('touchStart', (x - 40, y), (x + 40, y))
    touch('touchMove', (x - 80, y), (x + 80, y))
    touch('touchEnd')
    page.wait_for_function('before => document.getElementById("zoom").value !== before',
                           arg=f'{before} %')
    after = int(page.locator('#zoom').text_content().split()[0])
    assert after == pytest.approx(2 * before, abs=2)
    page.focus('#view')
    page.keyboard.press('.')
    page.keyboard.press('Delete')
    wait_for_cells(page, 11)  # of 12: the first finger has painted nothing


def test_a_long_press_of_a_finger_selects_one_more(page, browser, served):
    drop_discs(page)
    fingers = page.context.new_cdp_session(page)

    def press(number, seconds):
        x, y = place(page, *centre(number))
        begin = time.time()
        for kind, moment in (('touchStart', begin), ('touchEnd', begin + seconds)):
            fingers.send('Input.dispatchTouchEvent', dict(
                type=kind, timestamp=moment,
                touchPoints=[dict(x=x, y=y)] if kind == 'touchStart' else []))

    for number, seconds in ((0, 0.1), (1, 0.7), (2, 0.7)):
        press(number, seconds)
    page.wait_for_selector('#selected:has-text("3 cells, ")')
    page.click('#merge')
    wait_for_cells(page, 10)
    press(5, 0.1)
    page.wait_for_selector('#selected table')  # that one alone
    press(5, 0.1)
    page.wait_for_selector('#selected:has-text("Click a cell; Shift adds more.")')
    with browser.new_context(is_mobile=True, has_touch=True) as telephone:
        other = telephone.new_page()
        other.goto(served[0])
        other.wait_for_selector('#selected:has-text("Tap a cell; a long press adds more.")')


def test_keys_faster_than_the_server(page):
    drop_discs(page)
    page.focus('#view')
    for count in (11, 10):
        page.keyboard.press('.')
        page.keyboard.press('Delete')
        wait_for_cells(page, count)
    for _ in range(2):
        page.keyboard.press('Control+z')
    wait_for_cells(page, 12)

    held = []
    page.route('**/api/settings', lambda route: route.continue_() if held else held.append(route))
    slider = page.locator('[data-key="score_thr"][data-class="round"]')
    slider.focus()
    for _ in range(4):
        page.keyboard.press('PageUp')
    page.wait_for_function('() => Number(document.getElementById("total").value) < 12')
    while not held:  # other requests do not overtake the first one
        page.wait_for_timeout(10)
    page.wait_for_timeout(100)
    held[0].continue_()
    page.wait_for_function('''async position => {
        const { items } = await fetch('/api/state').then(answer => answer.json());
        return String(items[0].settings.score_thr?.round) === position;
    }''', arg=slider.input_value())
    assert page.evaluate('toasts') == []


def test_what_is_written_waits_for_changes_under_way(page):
    drop_discs(page)
    held, asked = [], []
    page.on('request', lambda request: asked.append(request.url.rpartition('/')[2]))
    page.route('**/api/settings', lambda route: held.append(route))
    threshold = '[data-key="score_thr"][data-class="round"] + input'
    page.fill(threshold, '1')
    page.press(threshold, 'Tab')
    wait_for_cells(page, 0)
    page.click('#open-export')
    page.click('#do-training')
    with page.expect_download() as download:
        page.click('#do-export:text("Download ZIP")')
        page.wait_for_selector('#do-export:text("Writing…")')
        page.wait_for_timeout(100)
        assert not {'export', 'training-data'} & set(asked)
        held[0].continue_()
    archive = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes()))
    assert archive.read('discs_cells.csv').count(b'\n') == 1
    page.wait_for_selector('#training-result:has-text("0 cells on 1 picture, ")')


def test_limits_of_size_do_not_cross(page):
    drop(page, 'a.png', draw_discs()[0])
    wait_for_cells(page, 12)

    def limit(key):
        return page.locator(f'[data-key="{key}"][data-class="round"] + input')

    for key, value, other in (
            ('max_area', '900', ''), ('min_area', '20000', 'max_area'),
            ('max_area', '300', 'min_area')):
        smallest = limit('min_area').input_value()
        limit(key).fill(value)
        limit(key).press('Tab')
        if not other:
            assert limit('min_area').input_value() == smallest
            continue
        assert limit(other).input_value() == value
        slider = page.locator(f'[data-key="{other}"][data-class="round"]').input_value()
        assert int(slider) == {'20000': 200, '300': 24}[value]
    limit('max_area').fill('')
    limit('max_area').press('Tab')
    assert limit('min_area').input_value() == '300'
    wait_for_cells(page, 12)
    assert page.evaluate('toasts') == []


def test_sliders_say_their_value_and_not_their_place(page):
    drop_discs(page)
    for name, words in (('Score ≥', '0.4'), ('Size ≥ (px)', '10'), ('Size ≤ (px)', '5000')):
        slider = page.get_by_role('slider', name=f'round: {name}')
        assert slider.get_attribute('aria-valuetext') == words
    slider.press('End')
    assert slider.get_attribute('aria-valuetext') == 'any'
    page.fill('[aria-label="round: Size ≤ (px), number"]', '300')
    page.press('[aria-label="round: Size ≤ (px), number"]', 'Enter')
    assert slider.get_attribute('aria-valuetext') == '300'


def test_score_thresholds_are_any_number_from_the_lowest(page, served):
    segmenter = served[1]
    segmenter.source.postprocess = complete_config(
        POSTPROCESS | dict(score_thr=dict(round=0.347123, long=0.4)), CLASSES)  # as a tuner's
    drop(page, 'a.png', draw_discs()[0])
    wait_for_cells(page, 12)
    slider = page.locator('[data-key="score_thr"][data-class="round"]')
    box = page.locator('[data-key="score_thr"][data-class="round"] + input')
    assert (box.input_value(), box.get_attribute('min')) == ('0.347', '0.174')
    for typed, taken in (('0.2', '0.2'), ('0.35', '0.35'), ('0.173', '0.35'), ('1.001', '0.35'),
                         ('', '0.35'), ('1', '1'), ('0.174', '0.174')):
        box.fill(typed)
        box.press('Tab')
        assert box.input_value() == taken
    box.press('ArrowUp')
    assert box.input_value() == '0.175'
    slider.focus()
    for key, shown in (('ArrowRight', '0.18'), ('Home', '0.174'), ('End', '1')):
        slider.press(key)
        assert box.input_value() == shown
    wait_for_cells(page, 0)
    box.fill('0.34725')
    box.press('Tab')
    page.wait_for_function('''async () => {
        const { items } = await fetch('/api/state').then(answer => answer.json());
        return items[0].settings.score_thr.round === 0.34725;
    }''')
    assert page.evaluate('toasts') == []


def test_notes_are_counted_in_the_list_and_stand_open(page, served):
    served[1].warnings = ('round cells are small', 'the picture is dark')
    drop_discs(page)
    page.wait_for_selector('#items .what:text-is("12 cells · ⚠ 2 notes")')
    page.wait_for_selector('#notes li:text-is("the picture is dark")')
    notes, panel = (page.locator(name).bounding_box() for name in ('#notes', '.panel'))
    assert notes['y'] + notes['height'] < panel['y'] + panel['height']  # without scrolling


def test_everything_by_keyboard(page):
    drop_discs(page)
    page.focus('#view')
    page.keyboard.press('.')
    page.wait_for_selector('#selected td')
    page.keyboard.press('2')  # its class
    page.wait_for_selector('#legend :text("long 1")')
    page.keyboard.press('.')
    page.keyboard.press('Delete')
    wait_for_cells(page, 11)
    page.keyboard.press('Escape')
    page.keyboard.press('p')
    for key, times in (('ArrowLeft', 1), ('ArrowUp', 30), ('ArrowRight', 12), ('ArrowDown', 3)):
        for _ in range(times):
            page.keyboard.press(key)
        page.keyboard.press('Space')
    page.keyboard.press('Enter')
    wait_for_cells(page, 12)
    page.keyboard.press('Control+z')
    wait_for_cells(page, 11)
    for key in ('+', '-', '0', 'o', 'o', 'o', 'v', 'c'):
        page.keyboard.press(key)
    page.wait_for_selector('#items .what:has-text("checked")')
    page.keyboard.press('?')
    page.wait_for_selector('#help-dialog[open]')
    page.keyboard.press('Escape')
    page.evaluate('document.activeElement.blur()')
    for _ in range(60):  # each thing that Tab reaches shows that it has the focus
        page.keyboard.press('Tab')
        outline = page.evaluate('''() => {
            const style = getComputedStyle(document.activeElement);
            return document.activeElement === document.body ? 'none at all'
                : `${style.outlineStyle} ${style.outlineWidth}`;
        }''')
        assert outline == 'none at all' or not outline.startswith('none'), outline


def test_after_a_picture_is_removed_the_keyboard_is_at_the_next_one(page):
    for name in ('a.png', 'b.png', 'c.png'):
        drop(page, name, draw_discs()[0])
        page.wait_for_selector(f'#items .name:text-is("{name}")')
    page.wait_for_selector('#items li:nth-child(3) .what:text-is("12 cells")')
    for name, left in (('b.png', ['a.png', 'c.png']), ('c.png', ['a.png']), ('a.png', [])):
        page.focus(f'[aria-label="Remove {name}"]')
        page.keyboard.press('Enter')
        page.focus('#confirm-yes')
        page.keyboard.press('Enter')
        page.wait_for_function('count => document.querySelectorAll("#items li").length === count',
                               arg=len(left))
        assert page.evaluate('document.activeElement.textContent').startswith(
            left[-1] if left else 'Add pictures')


def test_more_folders_than_the_list_shows(page, served):
    folder = served[2]
    for number in range(501):
        (folder / f'plate {number:03d}').mkdir()
    page.click('#add-folder')
    page.wait_for_selector('#folder-more:has-text("1 more folder not shown")')
    page.fill('#folder-find', 'PLATE 500')
    page.wait_for_selector('#folder-list li:only-child:has-text("plate 500/")')
    page.click('#folder-list button')
    page.wait_for_selector('#folder-images:has-text("0 pictures")')
    assert page.locator('#folder-many').is_hidden()
    page.click('#folder-list button')  # up again
    page.wait_for_selector('#folder-more:has-text("1 more folder not shown")')


def test_queue_pause_cancel_and_failure(page, served):
    _, segmenter, _ = served
    segmenter.gate.clear()
    page.click('#add-folder')
    page.wait_for_selector('#folder-images:has-text("2 pictures")')
    page.click('#folder-add')
    page.wait_for_selector('.what:has-text("looking")')
    page.click('#pause')
    page.wait_for_selector('#progress-text:has-text("paused")')
    page.click('#pause')
    page.click('#items li:nth-child(2) .item')
    page.wait_for_selector('#empty:has-text("Waiting for its turn")')
    page.click('#cancel')
    page.wait_for_selector('#progress', state='hidden')
    assert page.locator('.what:text("cancelled")').count() == 2
    segmenter.gate.set()
    page.click('#run-stopped:text("Run 2 cancelled")')
    page.wait_for_function('() => [...document.querySelectorAll(".what")].every('
                           'each => each.textContent === "12 cells")')
    wait_for_cells(page, 12)
    page.click('#items li:nth-child(1) [aria-label^="Remove"]')
    page.click('#confirm-yes')
    page.wait_for_function('() => document.querySelectorAll("#items li").length === 1')
    page.click('#theme')
    assert page.evaluate('document.documentElement.dataset.theme') == 'dark'


def test_files_that_are_not_added_are_listed(page):
    page.wait_for_function('() => document.getElementById("model").textContent')
    broken = []

    def break_off(route):
        broken.append(route.request.url)
        route.abort() if len(broken) == 1 else route.continue_()

    page.route(lambda url: '/api/files' in url, break_off)
    discs = draw_discs()[0]
    drop(page, 'first.png', discs)
    page.wait_for_selector('#refused-list li:has-text("the connection broke off")')
    assert len(broken) == 1
    page.evaluate(DROP, ['program.png', 'TVqQAAMAAAAEAAAA'])
    page.evaluate(DROP, ['old.oib', 'TVqQAAMAAAAEAAAA'])
    page.wait_for_selector('#refused-title:text("Not added: 3")')
    assert 'no image of a known format' in page.locator('#refused-list').text_content()
    assert 'files ending in .oib are not read' in page.locator('#refused-list').text_content()
    assert len(broken) == 2  # whose ending is no picture's is not sent
    page.click('#refused-retry:text("Try 1 again")')
    wait_for_cells(page, 12)
    assert page.locator('#refused-retry').is_hidden()
    drop(page, 'first.png', discs)
    page.wait_for_selector('#refused-list li:has-text("it is in the list already")')
    drop(page, 'second.png', discs)
    page.wait_for_function('() => document.querySelectorAll("#items li").length === 2')
    page.click('#refused-close')
    assert page.locator('#refused').is_hidden()
    page.allowed_errors = 2  # the browser writes down what broke off and what was refused


def test_folders_that_are_dropped_keep_their_names(page):
    page.wait_for_function('() => document.getElementById("model").textContent')
    data = base64.b64encode(cv2.imencode('.png', draw_discs()[0])[1].tobytes()).decode()
    page.evaluate('''data => {
        const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
        const file = (path, good = true) => ({
            isFile: true, name: path.split('/').at(-1), fullPath: path,
            file: (take, fail) => good ? take(new File([bytes], 'A1.png'))
                : fail(new Error('gone')) });
        const folder = (path, ...inside) => ({
            isDirectory: true, name: path.split('/').at(-1), fullPath: path,
            createReader: () => ({ readEntries: take => take(inside.splice(0, 1)) }) });
        const locked = folder('/plates/locked');
        locked.createReader = () => ({
            readEntries: (_, fail) => fail(new Error('may not be read')) });
        const plates = folder('/plates', folder('/plates/p1', file('/plates/p1/A1.png')), locked,
            folder('/plates/p2', file('/plates/p2/A1.png'), file('/plates/p2/A2.png', false)),
            file('/plates/notes.txt'), file('/plates/.hidden.png'), file('/plates/cells.csv'),
            folder('/plates/out', file('/plates/out/A1.png'), folder('/plates/out/.mmsart')));
        const event = new Event('drop', { bubbles: true });
        event.dataTransfer = { items: [{ webkitGetAsEntry: () => plates }] };
        document.getElementById('drop').dispatchEvent(event);
    }''', data)
    page.wait_for_function('() => document.querySelectorAll("#items li").length === 2')
    assert sorted(page.locator('#items .name').all_text_contents()) == [
        'plates/p1/A1.png', 'plates/p2/A1.png']
    page.wait_for_selector('#refused-title:text("Not added: 5")')
    assert sorted(page.locator('#refused-list li').all_text_contents()) == [
        'files of other kinds .txt',
        'plates/cells.csv it is in a folder: drop it by itself to show it as truth',
        'plates/locked may not be read',
        'plates/out it is a folder of results: drop pictures that are in it by themselves',
        'plates/p2/A2.png gone']


def test_options_of_reading_are_remembered_and_understood(page):
    page.click('#open-reading')
    for fields, problem in (
            (dict(series='1.5'), 'Series: found 1.5, expected a whole number from 0'),
            (dict(high='200'), 'found one of them, expected both or none')):
        for name, value in fields.items():
            page.fill(f'#read-{name}', value)
        page.click('#reading-ok')
        page.wait_for_selector(f'#reading-error:has-text("{problem}")')
        for name in fields:
            page.fill(f'#read-{name}', '')
    page.focus('#read-pixel')
    page.keyboard.type('0.6e')
    page.click('#reading-ok')
    page.wait_for_selector('#reading-error:has-text("Pixel size, µm: found no number")')
    page.fill('#read-pixel', '0.65')
    page.press('#read-pixel', 'Enter')
    page.wait_for_selector('#reading-dialog', state='hidden')
    page.click('#open-reading')
    page.fill('#read-pixel', '9')
    page.click('#reading-dialog .close')
    page.reload()
    page.wait_for_selector('#open-reading:text("Reading: 0.65 µm …")')
    drop_discs(page)
    items = page.evaluate('() => fetch("/api/state").then(answer => answer.json())')['items']
    assert items[0]['read'] == dict(pixel_size=0.65)


def test_a_wrong_pixel_size_is_put_right_for_all(page, served):
    reads = '''() => fetch('/api/state').then(answer => answer.json())
        .then(({ items }) => items.map(item => item.read))'''
    page.click('#open-reading')
    page.fill('#read-pixel', '6.5')
    page.fill('#read-axes', 'YX')
    page.press('#read-pixel', 'Enter')
    for number, name in enumerate(('a.png', 'b.png', 'c.png')):
        drop(page, name, draw_discs()[0])
        page.wait_for_function('count => [...document.querySelectorAll(".what")].filter('
                               'each => each.textContent === "12 cells").length > count',
                               arg=number)
    wait_for_cells(page, 12)
    page.click('#items li:nth-child(2) [aria-label^="Find"]')
    assert page.input_value('#read-pixel') == '6.5'  # as it was read
    page.fill('#read-axes', '')
    page.press('#read-axes', 'Enter')
    page.wait_for_selector('#reading-dialog', state='hidden')
    page.wait_for_function('() => fetch("/api/state").then(answer => answer.json())'
                           '.then(({ items }) => items[1].runs === 1 && '
                           'items[1].state === "done")')
    page.wait_for_function('() => [...document.querySelectorAll(".what")].every('
                           'each => each.textContent === "12 cells")')
    page.focus('#view')
    page.keyboard.press('.')
    page.keyboard.press('Delete')
    page.wait_for_selector('#items .what:text-is("11 cells · corrected")')
    page.click('#reread-all')
    page.wait_for_selector('#reading-what:text-is("2 pictures will be looked at anew.")')
    assert (page.input_value('#read-pixel'), page.input_value('#read-axes')) == ('6.5', '')
    assert page.get_attribute('#read-axes', 'placeholder') == 'differs; empty leaves it'
    assert page.locator('#reading-scope').is_hidden()  # nothing waits
    page.fill('#read-pixel', '0.65')
    page.check('#reading-later')
    page.click('#reading-ok:text-is("Find anew")')
    page.wait_for_selector('#open-reading:text("Reading: YX, 0.65 µm …")')
    wrong = dict(pixel_size=6.5, axes='YX')
    assert page.evaluate(reads) == [
        wrong, dict(pixel_size=0.65), dict(pixel_size=0.65, axes='YX')]

    page.wait_for_function('() => fetch("/api/state").then(answer => answer.json())'
                           '.then(({ items }) => items.every(item => item.state === "done"))')
    served[1].gate.clear()
    drop(page, 'd.png', draw_discs()[0])
    page.wait_for_selector('#items li:nth-child(4) .what:has-text("looking")')
    page.click('#reread-all')
    page.check('#reading-worked')
    page.wait_for_selector('#reading-ok:text-is("Find anew anyway")')
    page.check('#reading-waiting')
    page.wait_for_selector('#reading-what:text-is('
                           '"1 still in the queue will be read with what is changed here.")')
    page.fill('#read-pixel', '')
    page.click('#reading-ok:text-is("Find anew")')
    page.wait_for_selector('#reading-dialog', state='hidden')
    assert page.evaluate(reads)[2:] == [dict(pixel_size=0.65, axes='YX'), dict(axes='YX')]


def test_a_folder_in_another_way_is_found_anew_or_added_a_second_time(page):
    reads = '''() => fetch('/api/state').then(answer => answer.json())
        .then(({ items }) => items.map(item => item.read))'''

    def add_folder(pixel_size):
        page.click('#open-reading')
        page.fill('#read-pixel', pixel_size)
        page.press('#read-pixel', 'Enter')
        page.wait_for_selector('#reading-dialog', state='hidden')
        page.click('#add-folder')
        page.wait_for_selector('#folder-images:has-text("2 pictures here")')
        page.click('#folder-add')

    add_folder('6.5')
    page.wait_for_function('() => [...document.querySelectorAll(".what")].filter('
                           'each => each.textContent === "12 cells").length === 2')
    wait_for_cells(page, 12)
    page.focus('#view')
    page.keyboard.press('.')
    page.keyboard.press('Delete')
    page.wait_for_selector('#items .what:text-is("11 cells · corrected")')
    add_folder('0.65')
    page.wait_for_selector('#folder-differ-text:has-text("0 pictures added; 2 are in the list")')
    assert page.locator('#folder-add').is_hidden()
    assert page.evaluate('document.activeElement.id') == 'folder-anew'
    page.keyboard.press('Enter')
    page.wait_for_selector('#reading-what:text-is("1 picture will be looked at anew.")')
    page.wait_for_selector('#reading-text:has-text("0.65 µm")')
    assert page.locator('#reading-fields').is_hidden()
    page.click('#reading-ok')
    page.wait_for_selector('#reading-dialog', state='hidden')
    assert page.evaluate(reads) == [dict(pixel_size=6.5), dict(pixel_size=0.65)]
    add_folder('')
    page.wait_for_selector('#folder-differ')
    page.click('#folder-twice')
    page.wait_for_selector('#folder-dialog', state='hidden')
    page.wait_for_selector('#items li:nth-child(4)')
    assert page.evaluate(reads) == [dict(pixel_size=6.5), dict(pixel_size=0.65), {}, {}]
    page.click('#items li:nth-child(4) [aria-label^="Find"]')
    page.wait_for_selector('#reading-fields')


def test_a_file_in_another_way_is_found_anew_or_added_a_second_time(page):
    drop_discs(page)
    for pixel_size, button in (('0.5', '#refused-anew'), ('2', '#refused-twice')):
        page.click('#open-reading')
        page.fill('#read-pixel', pixel_size)
        page.press('#read-pixel', 'Enter')
        page.wait_for_selector('#reading-dialog', state='hidden')
        drop(page, 'discs.png', draw_discs()[0])
        page.wait_for_selector('#refused-list li:has-text("read in another way")')
        assert page.locator('#refused-retry').is_hidden()
        page.click(button)
        if button == '#refused-anew':
            page.click('#reading-dialog .close')
            assert page.locator('#refused').is_visible()  # nothing has been decided
            page.click(button)
            page.wait_for_selector('#reading-what:text-is("1 picture will be looked at anew.")')
            page.click('#reading-ok')
        page.wait_for_selector('#refused', state='hidden')
    page.wait_for_selector('#items li:nth-child(2)')
    assert page.evaluate('''() => fetch('/api/state').then(answer => answer.json())
        .then(({ items }) => items.map(item => item.read))''') == [
            dict(pixel_size=0.5), dict(pixel_size=2)]


def test_what_differs_is_cleared_for_all(page):
    reads = [dict(pixel_size=6.5, normalize=[0, 200], channel='a b'), dict(pixel_size=0.65), {}]
    for name, read in zip(('a.png', 'b.png', 'c.png'), reads, strict=True):
        page.evaluate('read => localStorage.setItem("mmsart-reading", JSON.stringify(read))', read)
        page.reload()
        drop(page, name, draw_discs()[0])
        page.wait_for_selector(f'#items .name:text-is("{name}")')
    page.click('#reread-all')
    clear = page.get_by_role('checkbox', name='Pixel size: clear for all')
    clear.wait_for()
    assert [box.is_visible() for box in page.locator('.field [type=checkbox]').all()] == [
        True, False, False, True, True]  # channel, axes, series, pixel size, grey values
    page.fill('#read-channel', 'b c')
    page.fill('#read-pixel', '3')
    clear.check()
    assert page.is_disabled('#read-pixel')
    assert page.input_value('#read-pixel') == ''
    assert page.get_attribute('#read-pixel', 'placeholder') == 'as each file says'
    page.get_by_role('checkbox', name='Black at, White at: clear both for all').check()
    clear.uncheck()
    assert page.is_enabled('#read-pixel')
    clear.check()
    page.fill('#read-channel', '')
    page.click('#reading-ok')
    page.wait_for_selector('#reading-dialog', state='hidden')
    assert page.evaluate('''() => fetch('/api/state').then(answer => answer.json())
        .then(({ items }) => items.map(item => item.read))''') == [dict(channel='a b'), {}, {}]
    page.click('#reread-all')
    page.wait_for_selector('#reading-ok:text-is("Find anew")')
    assert clear.is_hidden()  # it is the same for all now
    assert page.is_enabled('#read-pixel')


def test_cells_are_found_anew_once_however_often_it_is_clicked(page):
    drop_discs(page)
    asked = []
    page.route('**/api/reread', lambda route: (asked.append(route), route.continue_()))
    page.click('#items [aria-label^="Find"]')
    page.fill('#read-pixel', '-1')
    page.dblclick('#reading-ok')
    page.wait_for_selector('#reading-error:has-text("Pixel size")')
    page.fill('#read-pixel', '0.5')
    page.dblclick('#reading-ok')
    page.wait_for_selector('#reading-dialog', state='hidden')
    page.wait_for_function('() => fetch("/api/state").then(answer => answer.json())'
                           '.then(({ items }) => items[0].runs === 1)')
    assert len(asked) == 1


def test_what_is_lost_is_counted_once_more_where_another_window_works(page, served):
    other = two_windows(page, served[0])
    page.click('#items [aria-label^="Find"]')
    page.wait_for_selector('#reading-ok:text-is("Find anew")')
    other.focus('#view')
    other.keyboard.press('.')
    other.keyboard.press('Delete')
    wait_for_cells(other, 11)
    page.click('#reading-ok')
    page.wait_for_selector('#reading-error:has-text("corrections or a check mark")')
    page.wait_for_selector('#reading-what:has-text("1 correction will be lost")')
    page.allowed_errors = 1  # the browser writes down what was refused
    other.close()


def test_thresholds_for_all_spare_what_is_checked(page, served):
    for number, name in enumerate(('a.png', 'b.png', 'c.png')):
        drop(page, name, draw_discs()[0])
        page.wait_for_function('count => [...document.querySelectorAll(".what")].filter('
                               'each => each.textContent === "12 cells").length > count',
                               arg=number)
    page.focus('#view')
    page.keyboard.press('j')
    page.keyboard.press('c')
    page.wait_for_selector('#items li:nth-child(2) .what:has-text("checked")')
    page.keyboard.press('k')
    wait_for_cells(page, 12)
    threshold = '[data-key="score_thr"][data-class="round"] + input'
    page.fill(threshold, '1')
    page.press(threshold, 'Tab')
    page.click('#settings-all')
    page.wait_for_selector('#confirm-text:has-text("1 other picture that is not checked?")')
    page.wait_for_selector('#confirm-option-text:has-text("also for 1 that is checked")')
    page.click('#confirm-yes')
    page.wait_for_selector('#items li:nth-child(3) .what:text-is("0 cells")')
    assert page.locator('#items li:nth-child(2) .what').text_content() == '12 cells · ✓ checked'
    served[1].gate.clear()
    drop(page, 'd.png', draw_discs(seed=1)[0])
    page.wait_for_selector('#items li:nth-child(4) .what:has-text("looking")')
    page.click('#settings-all')
    page.wait_for_selector('#confirm-text:has-text("1 still in the queue takes these")')
    page.check('#confirm-option')
    page.click('#confirm-yes')
    page.wait_for_selector('#items li:nth-child(2) .what:text-is("0 cells · ✓ checked")')
    served[1].gate.set()
    page.wait_for_selector('#items li:nth-child(4) .what:text-is("0 cells")')


def test_running_again_asks_and_can_be_cancelled(page, served):
    drop_discs(page)
    page.focus('#view')
    page.keyboard.press('.')
    page.keyboard.press('Delete')
    wait_for_cells(page, 11)
    page.keyboard.press('c')
    page.wait_for_selector('#items .what:text-is("11 cells · corrected · ✓ checked")')
    served[1].gate.clear()
    page.click('#items [aria-label^="Find"]')
    page.wait_for_selector('#reading-what:has-text("1 correction and the check mark will be lost")')
    assert 'reading-what' in page.get_attribute('#reading-dialog', 'aria-describedby')
    page.click('#reading-ok:text-is("Find anew anyway")')
    page.wait_for_selector('#items .what:has-text("looking")')
    page.click('#items [aria-label^="Cancel"]')
    page.wait_for_selector('#items .what:text-is("11 cells · corrected · ✓ checked")')
    wait_for_cells(page, 11)


def test_a_tile_that_fails_comes_later(page):
    failed = []

    def fail_once(route):
        failed.append(1)
        route.abort() if len(failed) == 1 else route.continue_()

    page.route('**/tiles/**', fail_once)
    drop_discs(page)  # and the picture as a whole
    assert len(failed) == 2
    page.allowed_errors = 1  # the browser writes down that it has failed


def test_a_number_box_undoes_its_own_text(page):
    drop_discs(page)
    page.focus('#view')
    page.keyboard.press('.')
    page.keyboard.press('Delete')
    wait_for_cells(page, 11)
    page.focus('[data-key="min_area"][data-class="round"] + input')
    page.keyboard.type('1')
    page.keyboard.press('Control+z')
    page.focus('#view')
    page.keyboard.press('.')
    page.keyboard.press('Delete')
    wait_for_cells(page, 10)  # no cell has come back


def test_frames_have_the_numbers_of_tables(page):
    drop_stack(page, frames=3)
    assert page.locator('#frame-text').text_content() == '1 of 3 (t 0)'
    page.focus('#view')
    page.keyboard.press('PageDown')
    page.wait_for_selector('#frame-text:text-is("2 of 3 (t 1)")')


def test_a_stack_that_is_read_as_channels_has_one_frame(page):
    drop_stack(page, 5)
    page.focus('#view')
    page.keyboard.press('PageDown')
    page.wait_for_selector('#frame-text:text-is("2 of 5 (t 1)")')
    page.click('#items [aria-label^="Find"]')
    page.fill('#read-axes', 'CYX')
    page.fill('#read-channel', '0')
    page.press('#read-channel', 'Enter')
    page.wait_for_selector('#stack', state='hidden')
    page.wait_for_selector('#items .what:text-is("4 cells")')
    wait_for_cells(page, 4)


def test_a_stroke_that_ends_while_cells_are_loaded_erases_nothing(page):
    drop_stack(page, frames=2)
    held = []
    page.route('**/frames/1/cells', lambda route: held.append(route))
    page.click('[data-tool="erase"]')
    box = page.locator('#view').bounding_box()
    page.mouse.move(box['x'] + box['width'] / 2, box['y'] + box['height'] / 2)
    page.mouse.down()
    page.mouse.move(box['x'] + box['width'] / 2 + 30, box['y'] + box['height'] / 2)
    with page.expect_request('**/frames/1/cells'):
        page.keyboard.press('PageDown')
    page.mouse.up()
    held[0].continue_()
    wait_for_cells(page, 4)
    assert page.evaluate('toasts') == []


def test_what_is_selected_is_said(page):
    drop_discs(page)
    page.focus('#view')
    page.keyboard.press('.')
    page.wait_for_selector('#said:has-text("cell 1, round, score 0.")')
    page.click('[data-tool="select"]')
    page.keyboard.press('.')
    page.wait_for_selector('#said:has-text("cell 2, round, score 0.")')
    page.focus('#draw')
    page.keyboard.press(',')
    page.wait_for_selector('#said:has-text("cell 1, round, score 0.")')
    threshold = '[data-key="score_thr"][data-class="round"] + input'
    page.press(threshold, 'End')
    page.keyboard.press('.')  # a number's own
    page.wait_for_selector('#said:has-text("cell 1, round, score 0.")')
    page.focus('#view')
    page.keyboard.press('p')
    page.wait_for_selector('#said:has-text("polygon: Click the corners")')
    page.keyboard.press('Space')
    page.keyboard.press('Space')
    page.wait_for_selector('#said:text-is("polygon: 2 points")')


def test_two_windows_do_not_cross(page, served):
    other = two_windows(page, served[0])
    other.route('**/api/state**', lambda route: None)  # hears of nothing
    page.focus('#view')
    page.keyboard.press('.')
    page.keyboard.press('Delete')
    wait_for_cells(page, 11)
    other.focus('#view')
    other.keyboard.press('.')
    other.keyboard.press('Delete')
    other.keyboard.press('Control+z')  # of what it has not seen
    wait_for_toast(other, 'another window')
    wait_for_cells(other, 11)


def test_a_program_started_anew_is_loaded_anew(page):
    drop_discs(page)

    told = []

    def of_another_start(route):
        answer = route.fetch()
        other = {} if told else dict(start='another')
        told.append(other)
        route.fulfill(json=answer.json() | other)

    page.evaluate('() => { window.earlier = true; }')
    page.route('**/api/state**', of_another_start)
    page.wait_for_function('() => !window.earlier')
    wait_for_cells(page, 12)
    page.evaluate('() => { window.earlier = true; }')
    with page.expect_response('**/api/state**'):
        pass
    assert page.evaluate('window.earlier')  # once


def test_another_window_follows(page, served):
    other = two_windows(page, served[0])
    page.focus('#view')
    page.keyboard.press('.')
    page.keyboard.press('Delete')
    wait_for_cells(other, 11)
    threshold = '[data-key="score_thr"][data-class="round"] + input'
    page.fill(threshold, '1')
    page.press(threshold, 'Tab')
    wait_for_cells(other, 0)
    assert other.input_value(threshold) == '1'
    page.press('#view', 'c')
    other.wait_for_selector('#checked:checked')
    assert other.evaluate('toasts') == []


def test_corrections_under_way_are_made_on_their_own_picture(page, served):
    for name, count in (('twelve.png', 12), ('nine.png', 9)):
        drop(page, name, draw_discs(count=count)[0])
        page.wait_for_selector(f'#items .what:has-text("{count} cells")')
    page.click('#items li:nth-child(1) .item')
    wait_for_cells(page, 12)
    held = []
    page.route('**/edits', lambda route: route.continue_() if held else held.append(route))
    page.focus('#view')
    for key in ('.', 'Delete', '.', 'Delete', '.', 'Delete', 'Control+z', 'j'):
        page.keyboard.press(key)
    wait_for_cells(page, 9)
    page.keyboard.press('k')
    page.wait_for_selector('#status:has-text("loading the cells")')  # not those of before
    page.keyboard.press('j')
    wait_for_cells(page, 9)
    assert page.evaluate('() => !dispatchEvent(new Event("beforeunload", { cancelable: true }))')
    held[0].continue_()
    page.wait_for_selector('#items .what:text-is("10 cells · corrected")')
    wait_for_cells(page, 9)
    page.wait_for_function(  # the list may know before the last correction is answered
        '() => dispatchEvent(new Event("beforeunload", { cancelable: true }))')
    page.keyboard.press('k')
    wait_for_cells(page, 10)
    page.keyboard.press('Control+Shift+z')
    wait_for_cells(page, 9)
    assert page.evaluate('toasts') == []


def test_late_answers_do_not_show_on_another_picture(page):
    drop(page, 'twelve.png', draw_discs()[0])
    wait_for_cells(page, 12)
    drop(page, 'nine.png', draw_discs(count=9)[0])
    page.wait_for_selector('#items .what:has-text("9 cells")')
    held = []
    page.route('**/edits', lambda route: held.append(route))
    page.focus('#view')
    page.keyboard.press('.')
    page.keyboard.press('Delete')
    page.wait_for_function('() => !document.getElementById("delete").disabled')
    page.keyboard.press('j')
    wait_for_cells(page, 9)
    with page.expect_response('**/edits'):
        held[0].continue_()
    page.wait_for_selector('#items .what:text-is("11 cells · corrected")')
    wait_for_cells(page, 9)
    page.keyboard.press('k')
    wait_for_cells(page, 11)


def test_a_picture_that_is_run_again_is_read_again(page):
    tiles, thumbnails = set(), set()
    page.on('request', lambda request: ('/tiles/' in request.url and tiles.add(request.url))
            or ('thumbnail' in request.url and thumbnails.add(request.url)))
    drop_discs(page)
    assert (len(tiles), len(thumbnails)) == (1, 1)
    page.click('#items [aria-label^="Find"]')
    page.click('#reading-ok')
    page.wait_for_function("""async () => (await fetch('/api/state').then(answer => answer.json()))
        .items.every(item => item.runs === 1 && item.state === 'done')""")
    page.wait_for_timeout(1500)  # news come every second
    wait_for_cells(page, 12)
    assert (len(tiles), len(thumbnails)) == (2, 2)  # not what the browser has kept


def test_cells_that_do_not_come_are_named(page):
    page.route('**/cells', lambda route: route.fulfill(status=500, body='{"detail": "no cells"}'))
    drop(page, 'discs.png', draw_discs()[0])
    wait_for_toast(page, 'no cells')
    assert page.locator('#status').text_content() == ''
    page.allowed_errors = 1  # the browser writes down the answer


def test_truth_of_classes_that_the_model_does_not_know(page):
    drop_discs(page)
    truth = dict(images=[dict(id=1, file_name='discs.png', height=256, width=256)], categories=[
        dict(id=1, name='long'), dict(id=2, name='spindle')], annotations=[])
    for number in range(12):
        x, y = centre(number)
        corners = [x - 9, y - 9, x + 9, y - 9, x + 9, y + 9, x - 9, y + 9]
        truth['annotations'].append(dict(id=number, image_id=1, category_id=1 + number % 2,
                                         segmentation=[corners]))
    page.evaluate(DROP, ['truth.json', base64.b64encode(json.dumps(truth).encode()).decode()])
    page.wait_for_selector('#truth:enabled')
    page.select_option('#truth', 'beside')
    page.wait_for_selector('#truth-legend li')
    page.wait_for_selector('#truth-text:has-text("Score 0.")')
    assert page.locator('#truth-legend li').all_text_contents() == [
        'truth:', 'long 6', 'spindle 6']
    swatches = [page.evaluate('each => getComputedStyle(each).backgroundColor', each)
                for each in page.locator('.legend .swatch').element_handles()]
    assert len(set(swatches)) == len(swatches) == 3  # round as found; long and spindle as true
    box = page.locator('#view').bounding_box()
    scale = 0.96 * min(box['width'] / 2, box['height']) / 256
    x, y = ((value - 128) * scale for value in centre(1))
    page.mouse.move(box['x'] + box['width'] * 3 / 4 + x, box['y'] + box['height'] / 2 + y)
    page.wait_for_selector('#hover:has-text("truth: spindle")')
    page.select_option('#truth', 'off')
    assert page.locator('#truth-legend li').count() == 0


def test_what_cannot_be_compared_or_written_is_said(page, served):
    held = []
    page.route('**/api/folders?**', lambda route: held.append(route))
    page.click('#add-folder')
    page.press('#folder-recursive', 'Enter')  # before the folder is known
    page.wait_for_selector('#folder-add:disabled')
    held[0].continue_()
    page.wait_for_function('() => [...document.querySelectorAll(".what")].filter('
                           'each => each.textContent === "12 cells").length === 2')
    truth = dict(images=[dict(id=1, file_name='dish 0.png', height=8, width=10)],
                 categories=[dict(id=1, name='long')], annotations=[])
    page.evaluate(DROP, ['truth.json', base64.b64encode(json.dumps(truth).encode()).decode()])
    wait_for_toast(page, 'truth of 1 picture, 0 of the 2 here that are done')
    page.wait_for_selector('#truth-text:has-text("found truth of 10 x 8 pixels")')
    (served[2] / 'dish 1.png').unlink()
    page.click('#open-export')
    page.check('[name="scope"][value="all"]')
    with page.expect_download():
        page.click('#do-export')
    page.wait_for_selector('#export-left-out:text-is("1 picture could not be written: summary.csv '
                           'says why.")')
    page.click('#do-training')
    page.wait_for_selector('#training-result:has-text("1 could not be read: dish 1.png: ")')
    page.keyboard.press('Escape')
    page.keyboard.press('?')
    page.wait_for_selector('#keep-text:has-text("30 days after their last change")')
    page.keyboard.press('Escape')


def test_labels_beyond_a_byte(page):
    masks = PatchMasks.from_bitmaps(np.eye(3, dtype=np.uint8)[:, None])
    cells = Detections(np.ones(3, np.float32), np.array([0, 300, 70_000]), masks, masks.boxes, 'x')
    block = base64.b64encode(encode_cells(cells, {})).decode()
    assert page.evaluate('''async block => {
        const { Cells } = await import('/static/cells.js');
        const cells = new Cells(Uint8Array.from(atob(block), each => each.charCodeAt(0)).buffer);
        return [...cells.labels, ...cells.areas];
    }''', block) == [0, 300, 70_000, 1, 1, 1]


def test_the_page_draws_what_the_server_says(page, served):
    """The browser's areas and outlines, from bits, are those of the masks."""
    drop_discs(page)
    item = page.evaluate('() => fetch("/api/state").then(r => r.json())')['items'][0]
    areas = page.evaluate('''async id => {
        const { Cells } = await import('/static/cells.js');
        const asked = { method: 'POST', body: '{}' };
        const answer = await fetch(`/api/items/${id}/frames/0/cells`, asked);
        const cells = new Cells(await answer.arrayBuffer());
        return Array.from(cells.ids, (id, i) => {
            const rings = cells.outline(i).map(ring => {
                let twice = 0;
                for (let k = 0; k < ring.length; k += 2) {
                    const next = (k + 2) % ring.length;
                    twice += ring[k] * ring[next + 1] - ring[next] * ring[k + 1];
                }
                return twice / 2;
            });
            return [cells.areas[i], rings.reduce((sum, area) => sum + area, 0)];
        });
    }''', item['id'])
    numbered = cv2.connectedComponentsWithStats((draw_discs()[0] > 60).astype(np.uint8))[2]
    assert sorted(area for area, _ in areas) == sorted(numbered[1:, 4].tolist())
    assert all(area == ring for area, ring in areas)

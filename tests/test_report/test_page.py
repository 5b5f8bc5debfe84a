import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import shapely

from mmsart.formats.methods import write_methods
from mmsart.formats.summary import write_colours
from mmsart.report.page import write_report
from mmsart.report.results import read_results
from mmsart.report.views import draw_frame, svg_path, view
from mmsart.structures.image_result import FrameResult, ImageResult
from mmsart.structures.mask.outlines import trace_outline
from mmsart.utils import UserError
from tests.run_tool import run_tool
from tests.test_formats.results import (
    CLASSES,
    bitmaps_of,
    make_frame,
    random_result,
    true_coco,
)
from tests.test_report.folders import make_results, without_cells, write_folder

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which(
    'google-chrome')


class Page(HTMLParser):
    """Collect addresses, text and data of a page."""

    def __init__(self, path):
        super().__init__()
        self.addresses, self.words, self.tags, self._in = [], [], [], []
        self.data = None
        self.feed(path.read_text(encoding='utf-8'))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.addresses += [value for name, value in attributes if name in ('src', 'href')]
        self._in = [tag, dict(attributes)]

    def handle_endtag(self, tag):
        self._in = []

    def handle_data(self, text):
        if self._in and self._in[0] == 'script':
            if self._in[1].get('id') == 'data':
                self.data = json.loads(text)
        elif not self._in or self._in[0] != 'style':
            self.words.append(text)

    @property
    def text(self):
        return ' '.join(' '.join(self.words).split())


def report(tmp_path, results, truth=None, **options):
    write_folder(tmp_path, results, failed=options.pop('failed', ()))
    if truth is not None:
        (tmp_path / 'truth.json').write_text(json.dumps(true_coco(truth)))
    return Page(write_report(
        tmp_path, None if truth is None else tmp_path / 'truth.json', **options))


def test_nothing_is_fetched_from_elsewhere(tmp_path):
    results = make_results()
    page = report(tmp_path, results, truth=[results[0], results[2]])
    assert len(page.addresses) > 10
    assert all(address.startswith(('data:', '#')) for address in page.addresses)
    text = (tmp_path / 'report.html').read_text(encoding='utf-8')
    assert 'url(' not in text
    assert '@import' not in text
    assert "default-src 'none'" in text


def test_counts_and_words(tmp_path):
    results = make_results()
    page = report(tmp_path, results, failed=['broken.png'])
    assert 'images 3 frames 4' in page.text
    assert f'cells {sum(result.num_cells for result in results):,}' in page.text
    assert 'to look at 1 failed 1' in page.text
    assert 'image 2.tif darker than the training images no cells found' in page.text
    assert 'broken.png : found text, expected an image' in page.text
    assert 'mAP' not in page.text


def test_how_results_were_made_is_told(tmp_path):
    assert 'How the results were made' not in report(tmp_path / 'a', make_results()).text
    write_folder(tmp_path / 'b', make_results(), method=dict(text='Found by <me>, 0.5 or more.'))
    text = Page(write_report(tmp_path / 'b')).text
    assert 'How the results were made Found by <me>, 0.5 or more. All settings' in text
    write_methods(tmp_path / 'b', [(dict(text='First.'), ['stem 0', 'stem 2']),
                                   (dict(text='Then.'), ['stem 1']),
                                   (dict(text='Of other images.'), ['stem 7'])])
    text = Page(write_report(tmp_path / 'b')).text
    assert '2 of 3 images: First. 1 of 3 images: Then.' in text
    assert 'Of other images' not in text


def test_what_a_hand_has_done_is_summed_up(tmp_path):
    first, stack, _ = make_results()
    corrected = [replace(first, frames=[replace(
        first.frames[0], made=['drawn', 'changed', 'drawn', 'found', 'found', 'found', 'found'],
        removed=3)]), stack]
    write_folder(tmp_path, corrected, method=dict(text='Found.'))
    text = Page(write_report(tmp_path)).text
    assert 'By hand 2 cells were drawn, 1 changed and 3 removed.' in text


def test_views_hold_the_cells(tmp_path):
    results = make_results()
    page = report(tmp_path, results)
    assert page.data['classes'] == list(CLASSES)
    assert page.data['names'] == [result.name for result in results]
    for number, result in enumerate(results):
        shown = page.data['views'][str(number)]
        assert [(each['t'], each['z']) for each in shown] == [
            (frame.t, frame.z) for frame in result.frames]
        for each, frame in zip(shown, result.frames, strict=True):
            assert (each['width'], each['height'], each['scale']) == (56, 40, 1)
            assert each['picture'].startswith('data:image/jpeg;base64,')
            assert each['label'] == list(range(1, len(frame.detections) + 1))
            assert each['area'] == frame.detections.masks.areas.tolist()
            bitmaps = bitmaps_of(frame)
            for (x, y), bitmap in zip(each['at'], bitmaps, strict=True):
                assert bitmap[int(y), int(x)]


def test_classes_have_the_colours_that_pictures_have(tmp_path):
    write_colours(tmp_path, CLASSES, [(1, 2, 3), (4, 5, 6), (255, 0, 128)])
    page = report(tmp_path, make_results(1))
    assert page.data['colours'] == ['#010203', '#040506', '#ff0080']


def test_against_truth(tmp_path):
    truth = [random_result(0), random_result(3)]
    named = [ImageResult(f'image {i}.png', each.frames, CLASSES) for i, each in enumerate(truth)]
    found = [without_cells(named[0], [0, 1, 2]), named[1]]
    page = report(tmp_path, [*found, *make_results(2)[1:]], truth=named)
    assert '2 of 3 images have a truth' in page.text
    cells = len(named[0].frames[0].detections)
    expected = ((cells - 3) / cells + 1) / 2
    assert f'mAP {expected:.3f}' in page.text
    first, second = page.data['views']['0'][0], page.data['views']['1'][0]
    assert first['truth']['kind'] == ['missed'] * 3 + ['hit'] * (cells - 3)
    assert set(second['kind']) == {'matched'}
    cards = [attributes['data-view'] for tag, attributes in page.tags
             if tag == 'button' and attributes.get('class') == 'card']
    assert cards == ['0', '1', '1', '0']  # the worst, then the best


def test_truth_of_other_images_is_refused(tmp_path):
    with pytest.raises(UserError, match='none of the 1 images is one of the 3 of'):
        report(tmp_path, make_results(), truth=[random_result(0)])
    assert not (tmp_path / 'report.html').exists()


def test_pictures_that_are_left_out_are_told(tmp_path):
    page = report(tmp_path, make_results(4), pictures=2)
    assert set(page.data['views']) == {'2', '0'}  # there is something to say about the third
    assert 'The pictures of 3 frames are left out' in page.text
    disabled = [attributes['data-view'] for tag, attributes in page.tags
                if attributes.get('class') == 'thumb' and 'disabled' in attributes]
    assert disabled == ['1', '3']
    with pytest.raises(UserError, match='--pictures: found -1'):
        write_report(tmp_path, pictures=-1)


def test_names_are_text_and_nothing_else(tmp_path):
    [result] = make_results(1)
    evil = '</script><script>alert(1)</script><img src=x onerror=alert(2)>"\'.png'
    page = report(tmp_path, [ImageResult(evil, result.frames, CLASSES, warnings=[evil])])
    assert [tag for tag, _ in page.tags].count('script') == 2
    assert not any('onerror' in attributes for _, attributes in page.tags)
    assert page.data['names'] == [evil]
    assert page.data['warnings'] == [[evil]]


def test_no_image_and_no_cell(tmp_path):
    assert 'cells 0' in report(tmp_path / 'a', [], failed=['broken.png']).text
    frame = make_frame(np.zeros((0, 30, 40), bool), np.random.default_rng(0))
    page = report(tmp_path / 'b', [ImageResult('x', [frame], CLASSES)])
    assert page.data['views']['0'][0]['path'] == []


def parse_path(text):
    """Read the rings of an SVG path of M, h, v, l and z."""
    rings = []
    for part in text.rstrip('z').split('z'):
        moves = re.findall(r'([Mhvl])(-?[\d.]+)(?: (-?[\d.]+))?', part)
        point, ring = np.zeros(2), []
        for kind, first, second in moves:
            if kind == 'M':
                point = np.array([float(first), float(second)])
            elif kind == 'l':
                point = point + [float(first), float(second)]
            else:
                point = point + ([float(first), 0] if kind == 'h' else [0, float(first)])
            ring.append(point)
        rings.append(ring)
    return rings


@pytest.mark.parametrize('seed', range(3))
def test_paths_are_the_outlines(seed):
    for bitmap in bitmaps_of(random_result(seed).frames[0]):
        rings = parse_path(svg_path(trace_outline(bitmap), 1))
        # By the even-odd rule a hole takes away what its piece covers.
        whole = shapely.Polygon()
        for ring in rings:
            whole = whole.symmetric_difference(shapely.Polygon(ring))
        assert whole.area == bitmap.sum()


def test_large_images_shrink(tmp_path):
    bitmaps = np.zeros((1, 3_200, 1_600), bool)
    ys, xs = np.mgrid[:3_200, :1_600]
    bitmaps[0] = (ys - 1_000) ** 2 + (xs - 800) ** 2 < 300 ** 2
    frame = make_frame(bitmaps, np.random.default_rng(0))
    result = ImageResult('x', [FrameResult(frame.detections, frame.image)], CLASSES)
    [drawn] = read_results(write_folder(tmp_path, [result])).images[0].frames()
    shown = view(draw_frame(drawn))
    assert (shown['width'], shown['height'], shown['scale']) == (800, 1_600, 0.5)
    [ring] = parse_path(shown['path'][0])
    assert shapely.Polygon(ring).area == pytest.approx(np.pi * 150 ** 2, rel=0.01)
    assert len(ring) < 200  # of 2,400 pixel edges


def test_the_tool(tmp_path):
    write_folder(tmp_path, make_results(1))
    target = tmp_path / 'x.html'
    assert run_tool('report', tmp_path, '--out', target) == (0, f'written: {target}\n', '')
    code, _, problem = run_tool('report', tmp_path / 'none')
    assert code == 2
    assert problem.startswith(f'error: {tmp_path / "none" / "summary.csv"}: no such file')


@pytest.mark.skipif(CHROMIUM is None, reason='no Chromium')
def test_the_page_runs_in_a_browser_without_an_error(tmp_path):
    results = make_results()
    report(tmp_path, results, truth=[results[0]])
    done = subprocess.run(
        [CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
         '--enable-logging=stderr', f'--user-data-dir={tmp_path / "profile"}',
         '--virtual-time-budget=2000', '--dump-dom', (tmp_path / 'report.html').as_uri()],
        capture_output=True, text=True, timeout=600)
    assert '3 of 3 images</output>' in done.stdout  # written by the script
    assert 'CONSOLE' not in done.stderr


@pytest.mark.skipif(CHROMIUM is None, reason='no Chromium')
def test_next_follows_the_table_as_it_is_sorted_and_filtered(tmp_path):
    sync_api = pytest.importorskip('playwright.sync_api')
    results = [replace(result, name=f'{name}.tif') for result, name
               in zip(make_results(4), ('plate b', 'plate d', 'other', 'plate a'), strict=True)]
    report(tmp_path, results)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=['--no-sandbox', '--disable-dev-shm-usage'])
        page = browser.new_page()
        page.goto((tmp_path / 'report.html').as_uri())
        page.locator('th[data-sort="text"] button').first.click()
        page.locator('#filter-name').fill('plate')
        page.locator('#table tbody tr:not([hidden]) button.thumb').first.click()
        seen = []
        for key in ('ArrowRight',) * 3 + ('ArrowLeft',):
            seen.append(page.locator('#viewer-name').text_content())
            page.keyboard.press(key)
        seen.append(page.locator('#viewer-name').text_content())
        browser.close()
    assert [name[6:7] for name in seen] == ['a', 'b', 'd', 'd', 'b']

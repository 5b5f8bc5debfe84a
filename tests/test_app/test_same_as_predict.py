"""The page and `mmsart predict` give the same files, with a network and in tiles."""
import csv
import io
import json
import zipfile

import cv2
import numpy as np

from mmsart.apis import CellSegmenter
from mmsart.app.server import create_app
from mmsart.app.workspace import Workspace
from tests.run_tool import run_tool
from tests.test_app.conftest import Client

FORMATS = ('table', 'labels', 'outlines', 'geojson', 'coco', 'submission')


def test_the_same_files(checkpoint, tmp_path):
    rng = np.random.default_rng(0)
    images = tmp_path / 'images'
    images.mkdir()
    for name, size in (('small.png', (96, 96)), ('large.png', (160, 250))):
        cv2.imwrite(str(images / name), rng.integers(0, 256, size, np.uint8))
    tiles = ('--tile', '128', '--overlap', '64')
    code, _, err = run_tool(
        'predict', str(images), '--out', str(tmp_path / 'out'), '--weights', str(checkpoint),
        '--device', 'cpu', '--save', ','.join(FORMATS), *tiles)
    assert code == 0, err
    segmenter = CellSegmenter(checkpoint, 'cpu', tile_size=128, tile_overlap=64, keep=0.5)
    with Client(create_app(Workspace(tmp_path / 'w'), segmenter, folders=[images])) as client:
        client.post('/api/folders', json=dict(path=str(images))).raise_for_status()
        items = client.wait()
        answer = client.post('/api/export', json=dict(items='all', formats=list(FORMATS)))
        shown = [client.cells(item['id'])['count'] for item in items]
    assert answer.status_code == 200, answer.text
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    names = [name for name in archive.namelist() if name not in ('summary.csv', 'methods.json')]
    records = [name for name in names if name.startswith('.mmsart/') and name.endswith('.json')]
    assert len(names) == 2 * (len(FORMATS) + 2) + 4  # previews, records and colours too
    for name in records:
        one, other = (set(json.loads(text)['files']) for text in (
            archive.read(name), (tmp_path / 'out' / name).read_bytes()))
        assert one == other
    for name in set(names).difference(records):
        assert archive.read(name) == (tmp_path / 'out' / name).read_bytes(), name
    ours, theirs = (list(csv.DictReader(io.StringIO(text))) for text in (
        archive.read('summary.csv').decode(), (tmp_path / 'out/summary.csv').read_text()))
    for row in (*ours, *theirs):
        del row['seconds'], row['date']
    assert ours == theirs
    one, other = (json.loads(text)['methods'] for text in (
        archive.read('methods.json'), (tmp_path / 'out/methods.json').read_bytes()))
    assert one == other
    assert shown == [int(row['cells']) for row in ours]
    assert min(shown) > 0

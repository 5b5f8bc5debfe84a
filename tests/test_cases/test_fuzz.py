"""Random damage to COCO files, train.csv and submissions: read as it is meant, or refused.

Neither a traceback, nor a hang, nor another mask than plain loops find in the same bytes.
MMSART_FUZZ sets how many files of each kind are tried; each is made from its number alone, which a
failure names.
"""
import copy
import faulthandler
import gzip
import io
import json
import os
import random
import warnings

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mmsart.datasets.checked_coco import CheckedCocoDataset
from mmsart.datasets.train_csv import read_train_csv
from mmsart.datasets.transforms import LoadCroppedAnnotations
from mmsart.formats.submission import read_submission
from mmsart.formats.submission_check import check_submission
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.rle import bitmap_to_kaggle
from mmsart.utils import UserError
from tests.plain_masks import decode_coco_rle, decode_kaggle, decode_polygons

CASES = int(os.environ.get('MMSART_FUZZ', 500))
LONGEST = 600  # seconds for one file, before the process is taken to hang
CLASSES = ('shsy5y', 'astro', 'cort')
SIZES = {'a': (9, 13), 'b': (16, 7)}  # (h, w)
ODD_VALUES = [
    None, True, False, 0, -1, 1, 2, 7, 1.5, 1e9, -1e9, 1e308, 1e400, float('nan'), 2**31, 2**32,
    2**64, 10**400, '', 'x', '12', '1 2', 'ä', '\x00', [], [[]], {}, [None], [1, 2, 3], [[1, 2, 3]],
    [[0, 0, 5, 0, 5, 5]], [9, 13], [13, 9], dict(size=[9, 13], counts=[117]), [1e5] * 6]


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield
    faulthandler.cancel_dump_traceback_later()


def assert_refused(whole, error, path, seed):
    """A file that nobody touched is read; of another each fault has a line with the file's name."""
    assert not whole, f'{seed}: a whole file was refused: {error}'
    for line in error.problems:
        assert str(path) in line, f'{seed}: {line}'
        assert '\n' not in line, seed
        assert len(line) < 1000, seed


# Damage to text and to trees

def damage_text(rng, text):
    """Change a few characters, or the file as a whole."""
    kind = rng.randrange(9)
    at = rng.randrange(len(text) + 1)
    until = min(len(text), at + rng.randrange(1, 30))
    if kind == 0:
        text = text[:at]
    elif kind == 1:
        text = text[:at] + text[until:]
    elif kind == 2:
        text = text[:at] + text[at:until] + text[at:]
    elif kind in (3, 4):
        strange = rng.choice([*'\xa0\n\r"\',; \t\0-+._09eä\u0661\u2028\ufeff[}', 'NaN'])
        text = text[:at] + strange + text[at + (kind == 3):]
    elif kind == 5:
        text = text.replace('\n', '\r\n')
    data = text.encode()
    if kind == 6:
        data = b'\xef\xbb\xbf' + data
    elif kind == 7:
        data = gzip.compress(data, mtime=0)
        data = data[:rng.choice([len(data), rng.randrange(len(data))])]
    elif kind == 8:
        data = data[:at] + bytes([rng.randrange(256)]) + data[at:]
    return data


def damage_tree(rng, node):
    """Change one value somewhere in nested lists and dicts."""
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(node[key], list | dict) and node[key] and rng.random() < 0.8:
            node = node[key]
            continue
        break
    kind, value = rng.randrange(8), node[key]
    if kind == 0:
        del node[key]
    elif kind == 1 and type(value) in (int, float) and abs(value) < 1e300:
        node[key] = rng.choice([
            -value, value + 1, value * 10, value + 0.5, str(value), value * 1.0])
    elif kind == 2 and isinstance(value, str) and value:
        at = rng.randrange(len(value))
        node[key] = value[:at] + rng.choice(['', 'o', '0', '~', ' ']) + value[at + 1:]
    elif kind == 3 and isinstance(node, list):
        other = rng.randrange(len(node))
        node[key], node[other] = node[other], node[key]
    elif kind == 4 and isinstance(node, list):
        node.insert(key, copy.deepcopy(value))
    elif kind == 5 and isinstance(value, list):
        node[key] = {str(number): each for number, each in enumerate(value, 1)}
    elif kind == 6:
        node[key] = [value]
    else:
        node[key] = copy.deepcopy(rng.choice(ODD_VALUES))


# COCO

def random_blob(rng, height, width):
    top, left = rng.randrange(height - 1), rng.randrange(width - 1)
    mask = np.zeros((height, width), np.uint8)
    mask[top:top + rng.randrange(1, height), left:left + rng.randrange(1, width)] = 1
    return mask


def random_segmentation(rng, height, width):
    """Make a segmentation with its box, xywh."""
    if rng.random() < 0.5:
        reach = rng.choice([0, 3])  # over the border of the image
        points = [[rng.uniform(-reach, width + reach), rng.uniform(-reach, height + reach)]
                  for _ in range(rng.randrange(3, 8))]
        low, high = np.min(points, 0), np.max(points, 0)
        flat = [round(value, 2) for point in points for value in point]
        return [flat], [*low.tolist(), *(high - low).tolist()]
    mask = random_blob(rng, height, width)
    code = coco_mask.encode(np.asfortranarray(mask))
    box = coco_mask.toBbox(code).tolist()
    edges = np.flatnonzero(np.diff(mask.T.ravel(), prepend=0))
    counts = np.diff(edges, prepend=0, append=height * width).tolist()
    spelled = counts if rng.random() < 0.5 else code['counts'].decode()
    return dict(size=[height, width], counts=spelled), box


def random_coco(rng):
    images = [dict(id=number, file_name=f'{name}.png', height=h, width=w)
              for number, (name, (h, w)) in enumerate(SIZES.items(), 1)]
    annotations = []
    for number in range(1, rng.randrange(2, 6)):
        image = rng.choice(images)
        segmentation, box = random_segmentation(rng, image['height'], image['width'])
        annotations.append(dict(
            id=number, image_id=image['id'], category_id=rng.randrange(1, 4), iscrowd=0,
            area=max(box[2] * box[3], 1), bbox=box, segmentation=segmentation))
    categories = [dict(id=number, name=name) for number, name in enumerate(CLASSES, 1)]
    return dict(images=images, annotations=annotations, categories=categories)


def plain_json(data):
    if data.startswith(b'\x1f\x8b'):
        data = gzip.decompress(data)
    return json.loads(data.decode(json.detect_encoding(data)))


def values(records):
    return list(records.values()) if isinstance(records, dict) else records


def measured(annotation, height, width):
    """Return box and area of a mask, where one of them is missing."""
    if {'bbox', 'area'} <= set(annotation):
        return {}
    code = annotation['segmentation']
    if isinstance(code, list) or isinstance(code['counts'], list):
        code = coco_mask.frPyObjects(code, height, width)
    code = coco_mask.merge(code) if isinstance(code, list) else code
    return dict(bbox=coco_mask.toBbox(code).tolist(), area=int(coco_mask.area(code)))


def plain_instances(content):
    """List what a COCO file holds of each image: label, mask, and which pixels are certain."""
    names = {each['id']: each['name'] for each in values(content['categories'])}
    found = {}
    for image in values(content['images']):
        height, width = int(image['height']), int(image['width'])
        found[image['id']] = instances = []
        for each in values(content['annotations']):
            if each['image_id'] != image['id'] or each.get('ignore'):
                continue
            if each.get('area') == 0:  # stands for none
                each = {key: value for key, value in each.items() if key != 'area'}
            each = {**measured(each, height, width), **each}
            x, y, w, h = each['bbox']
            inside = min(x + w, width) > max(x, 0) and min(y + h, height) > max(y, 0)
            name = names[each['category_id']]
            if inside and w >= 1 and h >= 1 and each['area'] > 0 and name in CLASSES:
                segmentation = each['segmentation']
                if isinstance(segmentation, dict):
                    mask = decode_coco_rle(segmentation)
                    certain = np.ones_like(mask)
                else:
                    mask, certain = decode_polygons(segmentation, height, width)
                assert mask.shape == (height, width)
                instances.append((CLASSES.index(name), mask, certain))
    return found


def check_coco_case(seed, folder):
    rng = random.Random(seed)
    content = random_coco(rng)
    tree, text = rng.choice([(0, 0), (1, 0), (1, 0), (2, 0), (3, 0), (0, 1), (0, 2), (1, 1)])
    for _ in range(tree):
        annotations = content.get('annotations')
        parts = annotations if isinstance(annotations, list) else []
        damage_tree(rng, rng.choice([content, *(part for part in parts if isinstance(part, dict))]))
    data = json.dumps(content).encode()
    for _ in range(text):
        data = damage_text(rng, data.decode('utf-8', 'ignore'))
    path = folder / 'coco.json'
    path.write_bytes(data)
    load = LoadCroppedAnnotations()
    try:
        dataset = CheckedCocoDataset(
            ann_file=str(path), data_prefix=dict(img=str(folder)), pipeline=[load],
            metainfo=dict(classes=CLASSES), serialize_data=False)
        samples = [load.transform(dataset.get_data_info(i)) for i in range(len(dataset))]
    except UserError as error:
        assert_refused(not tree and not text, error, folder, seed)
        return False
    truth = plain_instances(plain_json(data))
    assert [sample['img_id'] for sample in samples] == list(truth), seed
    for sample in samples:
        expected = truth[sample['img_id']]
        labels = sample['gt_bboxes_labels'].tolist()
        assert labels == [label for label, _, _ in expected], seed
        masks = sample['gt_masks'].to_ndarray().astype(bool)
        for found, (_, mask, certain) in zip(masks, expected, strict=True):
            assert (found == mask)[certain].all(), seed
    return True


def test_coco_files(tmp_path):
    for name, size in SIZES.items():
        Image.fromarray(np.zeros(size, np.uint8)).save(tmp_path / f'{name}.png')
    run_cases(check_coco_case, tmp_path)


# train.csv

HEADER = ['id', 'annotation', 'width', 'height', 'cell_type', 'sample_id']


def random_table(rng):
    rows = [list(HEADER)]
    for name, (height, width) in SIZES.items():
        for _ in range(rng.randrange(1, 4)):
            text = bitmap_to_kaggle(random_blob(rng, height, width))
            rows.append([name, text, str(width), str(height), CLASSES[len(name)], name])
    return rows


def damage_rows(rng, rows):
    """Change one field, or the rows as such."""
    kind, row = rng.randrange(9), rng.randrange(len(rows))
    column = rng.randrange(len(rows[row])) if rows[row] else 0
    if kind == 0:
        del rows[row]
    elif kind == 1:
        rows.insert(row, list(rows[row]))
    elif kind == 2 and rows[row]:
        del rows[row][column]
    elif kind == 3 and rows[row]:
        rows[row].insert(column, rng.choice(['', '1', 'a']))
    elif kind == 4 and rows[row]:  # another row's
        other = rng.choice(rows)
        rows[row][column] = other[min(column, len(other) - 1)] if other else ''
    elif kind in (5, 6) and rows[row]:  # a little more or less
        words = rows[row][column].split(' ')
        at = rng.randrange(len(words))
        if words[at].isdecimal():
            words[at] = str(int(words[at]) + rng.choice([-1, 1]))
        rows[row][column] = ' '.join(words)
    elif rows[row]:
        words = rows[row][column].split(' ')
        at = rng.randrange(len(words))
        words[at] = rng.choice(['', '0', '-1', '1.0', '1e1', '+1', '١', '99999999999', '"', '"x"',
                                '1_0', 'nan', words[at] + ' ' + words[at], '01', 'a', '\n', '"\n"'])
        rows[row][column] = rng.choice([' ', ' ', '\xa0', '  ', '\t', ',']).join(words)


def write_rows(rng, rows):
    lines, text = rng.choice([(0, 0), (1, 0), (1, 0), (2, 0), (0, 1), (0, 1), (1, 1)])
    for _ in range(lines):
        damage_rows(rng, rows)
    data = '\n'.join(map(','.join, rows)) + rng.choice(['', '\n', '\n\n', '\n \n'])
    data = damage_text(rng, data) if text else data.encode()
    return data, not lines and not text


def plain_rows(data):
    """Read a table by another parser than the one that is tested."""
    if data.startswith(b'\x1f\x8b'):
        data = gzip.decompress(data)
    frame = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False, encoding='utf-8',
                        index_col=False)
    frame = frame[(frame != '').any(axis=1)]
    return frame[[not (row[0].strip() == '' and (row[1:] == '').all()) for row in frame.to_numpy()]]


def check_table_case(seed, folder):
    rng = random.Random(seed)
    data, whole = write_rows(rng, random_table(rng))
    path = folder / 'train.csv'
    path.write_bytes(data)
    os.utime(path, ns=(seed, seed))  # or two files within the clock's step would be one
    try:
        table = read_train_csv(path)
    except UserError as error:
        assert_refused(whole, error, path, seed)
        return False
    rows = plain_rows(data)
    assert table.image_ids.tolist() == sorted(set(rows['id'])), seed
    for image, name in enumerate(table.image_ids.tolist()):
        own = rows[rows['id'] == name]
        height, width = table.sizes[image].tolist()
        assert set(own['height'].map(int)) == {height}, seed
        assert set(own['width'].map(int)) == {width}, seed
        assert set(own['cell_type']) == {table.cell_types[image]}, seed
        plain = [decode_kaggle(text, height, width) for text in own['annotation']]
        texts = table.annotations[table.instances(image)].tolist()
        found = PatchMasks.from_annotations(texts, height, width).to_ndarray().astype(bool)
        # The same mask twice is a cell written down twice.
        assert ({mask.tobytes() for mask in found}
                == {mask.tobytes() for mask in plain if mask.any()}), seed
        assert len(found) <= len(plain), seed
    return True


def test_tables(tmp_path):
    run_cases(check_table_case, tmp_path)


# Submissions

def random_submission(rng):
    rows = [['id', 'predicted']]
    for name, (height, width) in SIZES.items():
        cut = rng.randrange(1, height)
        halves = np.zeros((2, height, width), np.uint8)
        halves[0, :cut] = random_blob(rng, height, width)[:cut]
        halves[1, cut:] = random_blob(rng, height, width)[cut:]
        texts = [bitmap_to_kaggle(half) for half in halves if half.any()]
        rows += [[name, text] for text in texts or ['']]
    return rows


def check_submission_case(seed, folder):
    rng = random.Random(seed)
    data, whole = write_rows(rng, random_submission(rng))
    path = folder / 's.csv'
    path.write_bytes(data)
    try:
        submission = read_submission(path)
        problems = check_submission(submission, SIZES)
    except UserError as error:
        assert_refused(whole, error, path, seed)
        return False
    for problem in problems:
        assert '\n' not in problem.message, seed
    if problems:
        assert not whole, f'{seed}: a whole file was refused: {problems[0]}'
        return False
    rows = plain_rows(data)
    assert set(rows['id']) == set(SIZES), seed
    for name, size in SIZES.items():
        own = rows['predicted'][rows['id'] == name].tolist()
        found = zip(submission.ids, submission.predicted, strict=True)
        assert own == [text for img_id, text in found if img_id == name], seed
        masks = [decode_kaggle(text, *size) for text in own]
        assert np.sum(masks, axis=0).max() <= 1, seed
    return True


def test_submissions(tmp_path):
    run_cases(check_submission_case, tmp_path)


def run_cases(check, folder):
    """Try all cases, and see to it that enough of them were read and enough refused."""
    read = 0
    for seed in range(CASES):
        faulthandler.dump_traceback_later(LONGEST, exit=True)
        try:
            read += check(seed, folder)
        except Exception as error:
            raise AssertionError(f'case {seed}: {type(error).__name__}: {error}') from error
    assert 0.1 * CASES <= read <= 0.9 * CASES, f'{read} of {CASES} were read'

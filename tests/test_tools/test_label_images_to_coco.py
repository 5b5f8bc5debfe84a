"""Pictures with label images, made a data set to train on."""
import json
import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image

import mmsart.registration  # noqa: F401
from mmsart.datasets.checked_coco import CheckedCocoDataset
from tests.run_tool import run_tool

SIZE = (40, 52)


def labels_of(seed):
    """Draw cells of which one lies in two pieces, with numbers that leave some out."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(SIZE, np.uint16)
    for number, value in enumerate((1, 2, 5, 300)):
        y, x = rng.integers(0, 8, 2)
        labels[y:y + 9, 13 * number + x % 4:13 * number + 9] = value
    labels[30:33, 2:6] = 5
    return labels


def dots(count=15):
    """Draw cells of one number."""
    labels = np.zeros(SIZE, np.uint16)
    for place in range(count):
        y, x = 2 + 8 * (place // 5), 2 + 10 * (place % 5)
        labels[y:y + 4, x:x + 4] = 1
    return labels


def write_png(path, array):
    Image.fromarray(array).save(path)


def write_folders(root, kind='tif', ending='_masks', apart=True, count=3):
    images = root / 'images'
    folder = root / 'labels' if apart else images
    for each in {images, folder}:
        each.mkdir(parents=True)
    for number in range(count):
        write_png(images / f'w{number}.png', np.full(SIZE, number, np.uint8))
        write = write_png if kind == 'png' else tifffile.imwrite
        write(folder / f'w{number}{ending}.{kind}', labels_of(number))
    return images, folder


def convert(images, labels, out, *options):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        code, text, error = run_tool(
            'dataset_converters/label_images_to_coco', images, labels, out, *options)
    return code, text, error + ''.join(str(each.message) for each in said)


@pytest.mark.parametrize(('kind', 'ending', 'apart'), [
    ('tif', '_masks', True), ('png', '_cp_masks', False), ('tif', '', True),
    ('png', '_label', True)])
def test_what_is_written_is_read_with_the_same_cells(tmp_path, kind, ending, apart):
    images, labels = write_folders(tmp_path, kind, ending, apart)
    out = tmp_path / 'cells.json'
    code, text, error = convert(images, labels, out, '--class', 'neuron')
    assert (code, error) == (0, '')
    assert text == f'{out}: 3 images with 12 cells of class neuron\n'
    dataset = CheckedCocoDataset(
        ann_file=str(out), data_prefix=dict(img=str(images)), metainfo=dict(classes=('neuron',)),
        pipeline=[dict(type='LoadCroppedAnnotations')])
    assert len(dataset) == 3
    for number in range(3):
        masks = dataset[number]['gt_masks'].to_ndarray().astype(bool)
        assert dataset[number]['img_path'] == str(images / f'w{number}.png')
        expected = [labels_of(number) == value for value in (1, 2, 5, 300)]
        np.testing.assert_array_equal(masks, expected)


def test_pictures_without_label_images_are_named_and_left_out(tmp_path):
    images, labels = write_folders(tmp_path)
    (labels / 'w1_masks.tif').unlink()
    code, text, error = convert(images, labels, tmp_path / 'cells.json')
    assert code == 0
    assert '2 images with 8 cells of class cell' in text
    assert 'images: left out, without a label image: w1.png' in error
    written = json.loads((tmp_path / 'cells.json').read_text())
    assert [image['file_name'] for image in written['images']] == ['w0.png', 'w2.png']


def damage(labels, name, array):
    (labels / name).unlink(missing_ok=True)
    (write_png if name.endswith('png') else tifffile.imwrite)(labels / name, array)


@pytest.mark.parametrize(('name', 'array', 'problem'), [
    ('x_masks.tif', labels_of(0), 'found no picture x in'),
    ('w0.tif', labels_of(0), 'w0_masks.tif: found w0.tif too, expected one label image of w0.png'),
    ('w0_masks.tif', labels_of(0)[1:], 'found 39 x 52 pixels (height x width), expected 40 x 52'),
    ('w0_masks.tif', np.zeros((2, *SIZE), np.uint16), 'w0_masks.tif: found 2 pages, expected one'),
    ('w0_masks.tif', np.zeros(SIZE, np.float32), 'of float32, expected a label image of whole'),
    ('w0_masks.tif', np.uint8(labels_of(0) > 0) * 255, 'found 0 and 255 alone, which do not tell'),
    ('w0_masks.tif', np.uint16(labels_of(0) > 0) * 65_535, 'found 0 and 65535 alone, which do not'),
    ('w0_masks.tif', dots(), 'found 15 pieces of the number 1, which do not tell'),
    ('w0_masks.tif', dots() * 700, 'found 15 pieces of the number 700, which do not tell'),
    ('w0_masks.tif', 2 - dots(), 'found 1 and 2 alone, which do not tell cells from each other'),
    ('w0_masks.tif', dots(3), 'found 3 pieces of the number 1, which do not tell')])
def test_what_is_no_label_image_is_named_and_nothing_written(tmp_path, name, array, problem):
    images, labels = write_folders(tmp_path)
    damage(labels, name, array)
    code, _, error = convert(images, labels, tmp_path / 'cells.json')
    assert code == 2
    assert problem in error
    assert not (tmp_path / 'cells.json').exists()


@pytest.mark.parametrize(('second', 'said'), [(0, True), (2, False)])
def test_a_cell_in_pieces_is_a_cell(tmp_path, second, said):
    """As a thin process breaks, or a mask that a brush left specks beside."""
    images, labels = write_folders(tmp_path, count=1)
    array = dots(2)
    array[2:6, 30:50] = 1
    array[20:40:3, ::3] = 1
    array[10:18, 10:18] = second
    damage(labels, 'w0_masks.tif', array)
    code, text, error = convert(images, labels, tmp_path / 'cells.json')
    assert (code, f'with {1 + second // 2} cells' in text) == (0, True)
    assert ('found 0 and 1 alone, in 3 pieces that are taken for one cell' in error) == said
    assert not error or said


def test_large_numbers_cost_nothing(tmp_path):
    """As numbers that go on over the images of an experiment."""
    images, labels = write_folders(tmp_path, count=1)
    large = labels_of(0).astype(np.uint32)
    large[large > 0] += 2 ** 32 - 1_000
    damage(labels, 'w0_masks.tif', large)
    assert convert(images, labels, tmp_path / 'large.json')[0] == 0
    damage(labels, 'w0_masks.tif', labels_of(0))
    assert convert(images, labels, tmp_path / 'small.json')[0] == 0
    assert (tmp_path / 'large.json').read_text() == (tmp_path / 'small.json').read_text()


def test_colours_and_damage_are_named_together(tmp_path):
    images, labels = write_folders(tmp_path, 'png')
    damage(labels, 'w0_masks.png', np.zeros((*SIZE, 3), np.uint8))
    data = (labels / 'w2_masks.png').read_bytes()
    (labels / 'w2_masks.png').write_bytes(data[:60])
    write_png(images / 'w1.png', np.zeros(SIZE, np.uint16))
    code, _, error = convert(images, labels, tmp_path / 'cells.json')
    assert code == 2
    assert len(error.splitlines()) == 3
    for problem in ('w0_masks.png: found axes YXS of uint8', 'w1.png: ', 'w2_masks.png: cannot be'):
        assert problem in error


def test_folders_without_pairs_are_named(tmp_path):
    images, _ = write_folders(tmp_path)
    code, _, error = convert(images, images, tmp_path / 'cells.json')
    assert code == 2
    assert 'found no label image, expected files called as the pictures, or with _cp_masks' in error
    code, _, error = convert(images, tmp_path / 'nowhere', tmp_path / 'cells.json')
    assert (code, 'nowhere: no such folder' in error) == (2, True)

import csv
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from skimage.measure import regionprops_table

from mmsart.formats.cell_table import CELLPROFILER_NAMES, cell_table, write_cell_table
from mmsart.structures.image_result import ImageResult
from tests.test_formats.results import CLASSES, make_frame, plain_labels, random_result


def read(path):
    with path.open(newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize('seed', range(3))
def test_the_file_holds_what_scikit_image_measures_on_the_label_image(tmp_path, seed):
    result = random_result(seed)
    write_cell_table(tmp_path / 'x.csv', result)
    frame = result.frames[0]
    expected = regionprops_table(plain_labels(frame), frame.image, properties=(
        'label', 'centroid', 'bbox', 'area', 'perimeter', 'equivalent_diameter_area',
        'feret_diameter_max', 'axis_major_length', 'axis_minor_length', 'eccentricity',
        'solidity', 'intensity_mean', 'intensity_std', 'intensity_min', 'intensity_max'))
    found = pd.read_csv(tmp_path / 'x.csv')
    for name, column in expected.items():
        name = name if name in found else f'{name}_px'
        np.testing.assert_allclose(found[name], column, rtol=1e-5, atol=1e-5, err_msg=name)


def test_a_square_in_pixels_and_um(tmp_path):
    bitmap = np.zeros((1, 20, 30), bool)
    bitmap[0, 5:9, 10:14] = True
    frame = make_frame(bitmap, np.random.default_rng(0))
    write_cell_table(tmp_path / 'x.csv', ImageResult('a b.png', [frame], CLASSES, pixel_size=0.5))
    [row] = read(tmp_path / 'x.csv')
    assert (row['image'], row['t'], row['z'], row['label']) == ('a b.png', '0', '0', '1')
    assert (row['class'], row['score']) == ('round', '0.95')
    assert (row['centroid-0_px'], row['centroid-1_px']) == ('6.5', '11.5')
    assert [row[f'bbox-{i}_px'] for i in range(4)] == ['5', '10', '9', '14']
    assert (row['area_px'], row['area_um2']) == ('16', '4')
    assert float(row['perimeter_px']) == 2 * float(row['perimeter_um']) == 12
    assert float(row['circularity']) == pytest.approx(4 * np.pi * 16 / 144, rel=1e-5)
    assert (row['touches_border'], row['made']) == ('False', 'found')


def test_what_a_hand_has_made_is_told():
    frame = random_result(0).frames[0]
    made = [('found', 'drawn', 'changed')[row % 3] for row in range(len(frame.detections))]
    result = ImageResult('x', [replace(frame, made=made)], CLASSES)
    assert cell_table(result)['made'].tolist() == made


def test_without_pixel_size_nothing_is_in_um():
    assert not [name for name in cell_table(random_result(0)) if name.endswith(('um', 'um2'))]


@pytest.mark.parametrize(('rows', 'columns', 'touches'), [
    (slice(0, 2), slice(3, 5), True), (slice(3, 5), slice(0, 2), True),
    (slice(8, 10), slice(3, 5), True), (slice(3, 5), slice(10, 12), True),
    (slice(1, 9), slice(1, 11), False)])
def test_touches_border(rows, columns, touches):
    bitmap = np.zeros((1, 10, 12), bool)
    bitmap[0, rows, columns] = True
    frame = make_frame(bitmap, np.random.default_rng(0))
    assert cell_table(ImageResult('x', [frame], CLASSES))['touches_border'].tolist() == [touches]


def test_rows_of_a_stack():
    result = random_result(2, num_t=2, num_z=2)
    table = cell_table(result)
    assert len(table) == result.num_cells
    for (t, z), part in table.groupby(['t', 'z']):
        frame = result.frames[2 * t + z]
        assert part['label'].tolist() == list(range(1, len(frame.detections) + 1))


def test_cellprofiler_names(tmp_path):
    result = random_result(1, num_t=3)
    empty = make_frame(np.zeros((0, *result.size), bool), np.random.default_rng(0), t=1)
    result = replace(result, frames=[result.frames[0], empty, result.frames[2]])
    write_cell_table(tmp_path / 'x.csv', result, cellprofiler=True)
    table, plain = pd.read_csv(tmp_path / 'x.csv'), cell_table(result)
    assert set(CELLPROFILER_NAMES) == set(plain.columns)  # each column has a name
    assert table.columns[0] == 'ImageNumber'
    assert table['ImageNumber'].tolist() == (plain['t'] + 1).tolist()  # empty ones count
    assert table['ObjectNumber'].tolist() == plain['label'].tolist()
    np.testing.assert_allclose(table['AreaShape_FormFactor'], plain['circularity'], rtol=1e-5)
    np.testing.assert_allclose(
        table['AreaShape_Orientation'], np.rad2deg(plain['orientation_rad']), rtol=1e-5)


@pytest.mark.parametrize('cellprofiler', [False, True])
def test_intensities_of_32_bits_come_back(tmp_path, cellprofiler):
    bitmaps = np.zeros((2, 20, 30), bool)
    bitmaps[0, 5:9, 10:14] = bitmaps[1, 12, 3] = True
    frame = make_frame(bitmaps, np.random.default_rng(0))
    for value in (np.float32(16384.625), np.uint32(1_234_567)):
        result = ImageResult('x', [replace(frame, image=np.full((20, 30), value))], CLASSES)
        write_cell_table(tmp_path / 'x.csv', result, cellprofiler)
        row = read(tmp_path / 'x.csv')[1]
        assert [value] * 3 == [
            float(row[CELLPROFILER_NAMES[name] if cellprofiler else name])
            for name in ('intensity_mean', 'intensity_min', 'intensity_max')]


def test_no_cells(tmp_path):
    frame = make_frame(np.zeros((0, 4, 5), bool), np.random.default_rng(0))
    result = ImageResult('x', [frame], CLASSES, pixel_size=1.0)
    write_cell_table(tmp_path / 'x.csv', result)
    assert pd.read_csv(tmp_path / 'x.csv').columns.tolist() == cell_table(result).columns.tolist()
    write_cell_table(tmp_path / 'x.csv', result, cellprofiler=True)
    assert read(tmp_path / 'x.csv') == []

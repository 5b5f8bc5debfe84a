import json

import numpy as np
import pytest
import shapely
from shapely.geometry import shape

from mmsart.formats.geojson import write_geojson
from mmsart.structures.image_result import ImageResult
from tests.test_formats.results import CLASSES, bitmaps_of, make_frame, random_result


def read(path):
    collection = json.loads(path.read_text(encoding='utf-8'))
    assert collection['type'] == 'FeatureCollection'
    return collection['features']


@pytest.mark.parametrize('seed', range(5))
def test_shapes_are_valid_and_hold_the_masks_pixels(tmp_path, seed):
    result = random_result(seed)
    write_geojson(tmp_path / 'x.geojson', result)
    features = read(tmp_path / 'x.geojson')
    ys, xs = np.mgrid[:result.size[0], :result.size[1]]
    bitmaps = bitmaps_of(result.frames[0])
    assert len(features) == len(bitmaps)
    for feature, bitmap in zip(features, bitmaps, strict=True):
        geometry = shape(feature['geometry'])
        assert geometry.is_valid
        assert geometry.area == bitmap.sum() == feature['properties']['measurements']['Area px^2']
        np.testing.assert_array_equal(
            shapely.contains_xy(geometry, xs + 0.5, ys + 0.5), bitmap)


def test_a_cell_with_a_hole_and_one_in_pieces(tmp_path):
    bitmaps = np.zeros((2, 9, 9), bool)
    bitmaps[0, 1:4, 1:4] = True
    bitmaps[0, 2, 2] = False
    bitmaps[1, 6, [1, 5]] = True
    frame = make_frame(bitmaps, np.random.default_rng(0))
    write_geojson(tmp_path / 'x', ImageResult('x', [frame], CLASSES))
    ring, pieces = (feature['geometry'] for feature in read(tmp_path / 'x'))
    assert ring == {'type': 'Polygon', 'coordinates': [
        [[1, 1], [4, 1], [4, 4], [1, 4], [1, 1]], [[3, 2], [2, 2], [2, 3], [3, 3], [3, 2]]]}
    assert pieces['type'] == 'MultiPolygon'
    assert len(pieces['coordinates']) == 2


def test_what_qupath_reads(tmp_path):
    result = random_result(0, pixel_size=0.5)
    write_geojson(tmp_path / 'x', result)
    detections = result.frames[0].detections
    for index, feature in enumerate(read(tmp_path / 'x')):
        label, area = detections.labels[index], int(detections.masks.areas[index])
        assert 'plane' not in feature['geometry']
        assert feature['properties'] == {
            'objectType': 'detection', 'name': str(index + 1),
            'classification': {'name': CLASSES[label], 'color': list(result.colours[label])},
            'measurements': {
                'Label': index + 1, 'Score': pytest.approx(detections.scores[index], abs=1e-4),
                'Area px^2': area, 'Area µm^2': area / 4}}


def test_planes_of_a_stack(tmp_path):
    result = random_result(0, num_t=2, num_z=2)
    write_geojson(tmp_path / 'x', result)
    planes = [feature['geometry']['plane'] for feature in read(tmp_path / 'x')]
    assert planes == [{'c': -1, 'z': frame.z, 't': frame.t}
                      for frame in result.frames for _ in range(len(frame.detections))]


def test_no_cells(tmp_path):
    frame = make_frame(np.zeros((0, 4, 5), bool), np.random.default_rng(0))
    write_geojson(tmp_path / 'x', ImageResult('x', [frame], CLASSES))
    assert read(tmp_path / 'x') == []

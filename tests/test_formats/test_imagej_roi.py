import dataclasses
import zipfile

import numpy as np
import pytest
import roifile
from matplotlib.path import Path as Outline
from read_roi import read_roi_zip

from mmsart.formats.imagej_roi import write_imagej_rois
from mmsart.structures.detections import Detections
from mmsart.structures.image_result import FrameResult, ImageResult
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.utils import UserError
from tests.test_formats.results import CLASSES, make_frame, plain_labels, random_result


def rings_of(region):
    """Take the rings out of what read_roi, which shares no code with roifile, has read."""
    if region['type'] == 'composite':
        return [np.array(path) for path in region['paths']]
    return [np.stack([region['x'], region['y']], axis=1)]


def fill(region, size):
    """Fill a region as ImageJ does: pixels whose centre an odd number of rings encloses."""
    ys, xs = np.mgrid[:size[0], :size[1]]
    centres = np.stack([xs.ravel(), ys.ravel()], axis=1) + 0.5
    inside = np.zeros(len(centres), bool)
    for ring in rings_of(region):
        inside ^= Outline(ring).contains_points(centres)
    return inside.reshape(size)


@pytest.mark.parametrize('seed', range(5))
def test_rasterised_regions_are_the_label_image(tmp_path, seed):
    result = random_result(seed)
    write_imagej_rois(tmp_path / 'x_rois.zip', result)
    regions = read_roi_zip(str(tmp_path / 'x_rois.zip'))
    assert len(regions) == result.num_cells
    labels = np.zeros(result.size, int)
    for name, region in regions.items():
        labels[fill(region, result.size)] = int(name)
    np.testing.assert_array_equal(labels, plain_labels(result.frames[0]))


def test_the_scenes_hold_holes_and_pieces(tmp_path):
    write_imagej_rois(tmp_path / 'x.zip', random_result(1))
    kinds = [region['type'] for region in read_roi_zip(str(tmp_path / 'x.zip')).values()]
    assert {'composite', 'traced'} <= set(kinds)


def test_a_square_has_the_corners_of_its_pixels(tmp_path):
    bitmap = np.zeros((1, 20, 30), bool)
    bitmap[0, 5:9, 10:17] = True
    frame = make_frame(bitmap, np.random.default_rng(0))
    write_imagej_rois(tmp_path / 'x.zip', ImageResult('x', [frame], CLASSES))
    [region] = read_roi_zip(str(tmp_path / 'x.zip')).values()
    corners = list(zip(region['x'], region['y'], strict=True))
    assert corners == [(10, 5), (17, 5), (17, 9), (10, 9)]


def test_name_group_colour_and_properties(tmp_path):
    result = random_result(3)
    write_imagej_rois(tmp_path / 'x.zip', result)
    regions = roifile.roiread(tmp_path / 'x.zip')
    detections = result.frames[0].detections
    assert [roi.name for roi in regions] == [str(i + 1) for i in range(len(detections))]
    assert [roi.group for roi in regions] == (detections.labels + 1).tolist()
    for roi, label, score in zip(regions, detections.labels, detections.scores, strict=True):
        assert roi.stroke_color == bytes((255, *result.colours[label]))
        assert roi.props.splitlines() == [f'class: {CLASSES[label]}', f'score: {score:.4f}']


@pytest.mark.parametrize(('num_t', 'num_z'), [(3, 1), (1, 3), (2, 2)])
def test_positions_in_a_stack(tmp_path, num_t, num_z):
    result = random_result(4, num_t, num_z)
    write_imagej_rois(tmp_path / 'x.zip', result)
    regions = read_roi_zip(str(tmp_path / 'x.zip'))
    assert len(regions) == result.num_cells
    expected = []
    for number, frame in enumerate(result.frames, start=1):
        stands = ({'channel': 0, 'slice': frame.z + 1, 'frame': frame.t + 1}
                  if num_t > 1 and num_z > 1 else number)
        expected += [stands] * len(frame.detections)
    assert [region['position'] for region in regions.values()] == expected
    with zipfile.ZipFile(tmp_path / 'x.zip') as archive:
        names = archive.namelist()
    assert len(set(names)) == len(names)
    assert names[0] == {(3, 1): 't00_1.roi', (1, 3): 'z00_1.roi', (2, 2): 't00_z00_1.roi'}[
        num_t, num_z]


@pytest.mark.parametrize(('num_t', 'num_z', 'num_channels'), [(3, 1, 2), (1, 3, 2), (1, 1, 2)])
def test_positions_in_a_file_of_several_channels(tmp_path, num_t, num_z, num_channels):
    """By number, they would stand on slices of other channels and times."""
    result = dataclasses.replace(random_result(4, num_t, num_z), num_channels=num_channels)
    write_imagej_rois(tmp_path / 'x.zip', result)
    regions = roifile.roiread(tmp_path / 'x.zip')
    expected = [(0, 0, frame.z + 1, frame.t + 1) if num_t * num_z > 1 else (0, 0, 0, 0)
                for frame in result.frames for _ in range(len(frame.detections))]
    assert [(roi.position, roi.c_position, roi.z_position, roi.t_position)
            for roi in regions] == expected


def cell_at(x, y, size):
    boxes = np.array([[x, y, x + 2, y + 2]])
    masks = CroppedMasks(np.ones(4, np.uint8), boxes, *size)
    cells = Detections([0.5], [0], masks, boxes)
    return ImageResult('x', [FrameResult(cells, np.broadcast_to(np.uint8(0), size))], ['cell'])


@pytest.mark.parametrize('x', [32_766, 40_000, 60_533])  # beyond signed 16 bits
def test_far_coordinates_are_exact(tmp_path, x):
    write_imagej_rois(tmp_path / 'x.zip', cell_at(x, 7, (10, 60_535)))
    [region] = read_roi_zip(str(tmp_path / 'x.zip')).values()
    assert (min(region['x']), max(region['x']), min(region['y'])) == (x, x + 2, 7)


def test_an_image_too_large_is_refused(tmp_path):
    with pytest.raises(UserError, match='found 60536 x 10 pixels, expected at most 60535'):
        write_imagej_rois(tmp_path / 'x.zip', cell_at(5, 7, (10, 60_536)))
    assert not list(tmp_path.iterdir())

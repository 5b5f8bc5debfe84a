from dataclasses import replace

import numpy as np
import pytest
import tifffile

from mmsart.report.results import read_results
from mmsart.utils import MissingFileError, UserError
from tests.test_formats.results import CLASSES, bitmaps_of
from tests.test_report.folders import make_results, write_folder


@pytest.mark.parametrize('cellprofiler', [False, True])
def test_what_was_written_is_read(tmp_path, cellprofiler):
    written = make_results()
    results = read_results(write_folder(
        tmp_path, written, failed=['broken.png'], cellprofiler=cellprofiler))
    assert results.classes == CLASSES
    assert [row['image'] for row in results.failed] == ['broken.png']
    for image, expected in zip(results.images, written, strict=True):
        assert image.name == expected.name
        assert image.warnings == list(expected.warnings)
        for frame, other in zip(image.frames(), expected.frames, strict=True):
            assert (frame.t, frame.z) == (other.t, other.z)
            assert frame.preview.is_file()
            np.testing.assert_allclose(
                frame.detections.scores, other.detections.scores, atol=1e-5)
            np.testing.assert_array_equal(frame.detections.labels, other.detections.labels)
            np.testing.assert_array_equal(
                frame.detections.masks.to_ndarray(), bitmaps_of(other))


@pytest.mark.parametrize('cellprofiler', [False, True])
@pytest.mark.parametrize('classes', [('1', '02', '3.0'), ('True', 'False', 'TRUE')])
def test_classes_are_names_whatever_they_look_like(tmp_path, classes, cellprofiler):
    written = replace(make_results(1)[0], classes=classes)
    results = read_results(write_folder(
        tmp_path, [written], classes=classes, cellprofiler=cellprofiler))
    assert results.classes == classes
    [frame] = results.images[0].frames()
    np.testing.assert_array_equal(
        frame.detections.labels, written.frames[0].detections.labels)


def test_without_previews_there_are_none(tmp_path):
    write_folder(tmp_path, make_results(1))
    (tmp_path / '.mmsart' / 'stem 0.jpg').unlink()
    [frame] = read_results(tmp_path).images[0].frames()
    assert frame.preview is None


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r'summary\.csv: no such file, expected the summary'):
        read_results(tmp_path)
    write_folder(tmp_path, make_results(1))
    labels, table = tmp_path / 'stem 0_masks.tif', tmp_path / 'stem 0_cells.csv'
    labels.unlink()
    with pytest.raises(MissingFileError, match=r'stem 0_masks\.tif: no such file'):
        read_results(tmp_path).images[0].frames()
    table.unlink()
    with pytest.raises(MissingFileError, match=r'stem 0_cells\.csv: .* predict with --save table'):
        read_results(tmp_path)


def test_files_that_disagree_are_named(tmp_path):
    first, second, _ = make_results()
    write_folder(tmp_path / 'a', [first])
    write_folder(tmp_path / 'b', [second])
    (tmp_path / 'b' / 'stem 0_masks.tif').rename(tmp_path / 'a' / 'stem 0_masks.tif')
    with pytest.raises(UserError, match='found 2 frames of 56 x 40 pixels, expected 1 of 56 x 40'):
        read_results(tmp_path / 'a').images[0].frames()


@pytest.mark.parametrize(('name', 'old', 'new', 'problem'), [
    ('summary.csv', 'stem,', 'root,', 'no column stem'),
    ('summary.csv', 'confluence,', 'density,', 'no column confluence'),
    ('summary.csv', ',1,40,56,', ',one,40,56,', "row 2, column frames: found 'one', expected a n"),
    ('summary.csv', ',1,40,56,', ',1,,56,', 'row 2, column height: found a blank, expected a n'),
    ('stem 0_cells.csv', ',0.', ',O.', "row 2, column score: found 'O.95', expected a number"),
    ('stem 0_cells.csv', 'score,', 'points,', 'no column score'),
    ('stem 0_cells.csv', ',flat,', ',odd,', "found the class 'odd', expected one of round"),
    ('stem 0_cells.csv', '0,0,2,', '0,0,9,', 'found 7 cells, expected 7 in the order')])
def test_tables_of_others_are_named(tmp_path, name, old, new, problem):
    write_folder(tmp_path, make_results(1))
    text = (tmp_path / name).read_text()
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=problem):
        read_results(tmp_path).images[0].frames()


def test_a_number_without_pixels_is_an_empty_mask(tmp_path):
    """As of a cell that shares all its pixels with better ones."""
    write_folder(tmp_path, make_results(1))
    path = tmp_path / 'stem 0_masks.tif'
    labels = tifffile.imread(path)
    tifffile.imwrite(path, np.where(labels == 2, 0, labels))
    [frame] = read_results(tmp_path).images[0].frames()
    expected = [labels == number for number in range(1, len(frame.detections) + 1)]
    expected[1] = np.zeros_like(labels)
    np.testing.assert_array_equal(frame.detections.masks.to_ndarray(), expected)


def test_a_label_of_no_row_is_named(tmp_path):
    write_folder(tmp_path, make_results(1))
    path = tmp_path / 'stem 0_masks.tif'
    labels = tifffile.imread(path).astype(np.uint32)
    tifffile.imwrite(path, np.where(labels == 2, 4_000_000_000, labels))
    with pytest.raises(UserError, match='found 7 cells, expected 4000000000 in the order'):
        read_results(tmp_path).images[0].frames()

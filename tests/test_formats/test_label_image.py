import tracemalloc

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage.io import imread

from mmsart.formats.label_image import find_masks, paint_labels, read_label_image, write_label_image
from mmsart.structures.detections import Detections
from mmsart.structures.image_result import FrameResult, ImageResult
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.utils import UserError
from tests.test_formats.results import bitmaps_of, plain_labels, random_result


@pytest.mark.parametrize('seed', range(5))
def test_labels_are_those_of_full_size_bitmaps(tmp_path, seed):
    result = random_result(seed)
    write_label_image(tmp_path / 'x_masks.tif', result)
    written = np.asarray(Image.open(tmp_path / 'x_masks.tif'))  # Pillow's own TIFF reader
    assert written.dtype == np.uint16
    np.testing.assert_array_equal(written, plain_labels(result.frames[0]))


def test_shared_pixels_go_to_the_first_cell():
    bitmaps = np.zeros((2, 3, 4), np.uint8)
    bitmaps[0, :, :3] = 1
    bitmaps[1, :, 2:] = 1
    labels = paint_labels(CroppedMasks.from_bitmaps(bitmaps))
    np.testing.assert_array_equal(labels, [[1, 1, 1, 2]] * 3)


@pytest.mark.parametrize(('num_t', 'num_z', 'axes'), [(3, 1, 'TYX'), (1, 2, 'ZYX'), (3, 2, 'TZYX')])
def test_a_stack_keeps_its_axes(tmp_path, num_t, num_z, axes):
    result = random_result(1, num_t, num_z, pixel_size=0.65)
    write_label_image(tmp_path / 'x_masks.tif', result)
    with tifffile.TiffFile(tmp_path / 'x_masks.tif') as tif:
        assert tif.is_imagej
        assert tif.series[0].axes == axes
        assert tif.imagej_metadata.get('frames', 1) == num_t
        assert tif.imagej_metadata.get('slices', 1) == num_z
        stack = tif.asarray().reshape(-1, *result.size)
    for page, frame in zip(stack, result.frames, strict=True):
        np.testing.assert_array_equal(page, plain_labels(frame))
    with Image.open(tmp_path / 'x_masks.tif') as pages:
        assert pages.n_frames == num_t * num_z
        pages.seek(1)
        np.testing.assert_array_equal(np.asarray(pages), plain_labels(result.frames[1]))


def test_pixel_size_compression_and_strips(tmp_path):
    write_label_image(tmp_path / 'x.tif', random_result(2, pixel_size=0.65, height=600, width=700))
    with Image.open(tmp_path / 'x.tif') as image:
        tags = image.tag_v2
        assert tags[259] == 8  # zlib
        assert len(tags[273]) > 1  # strips
        assert 322 not in tags  # no tiles
        assert float(tags[282]) == pytest.approx(1 / 0.65)
        assert 'unit=um' in tags[270]


def many_cells(number):
    boxes = np.stack([np.arange(number) % 300, np.arange(number) // 300], 1)
    masks = CroppedMasks(np.ones(number, np.uint8), np.hstack([boxes, boxes + 1]), 300, 300)
    cells = Detections(np.ones(number), np.zeros(number), masks, masks.boxes)
    return ImageResult('many', [FrameResult(cells, np.zeros((300, 300)))], ['cell'], pixel_size=0.5)


@pytest.mark.parametrize(('number', 'dtype'), [(65_535, np.uint16), (65_536, np.int32)])
def test_numbers_beyond_16_bits(tmp_path, number, dtype):
    write_label_image(tmp_path / 'x.tif', many_cells(number))
    labels = imread(tmp_path / 'x.tif')
    assert labels.dtype == dtype
    np.testing.assert_array_equal(labels.ravel()[:number], np.arange(1, number + 1))
    assert not labels.ravel()[number:].any()
    with tifffile.TiffFile(tmp_path / 'x.tif') as tif:
        assert tif.is_imagej == (dtype is np.uint16)
        if tif.ome_metadata:
            assert 'PhysicalSizeX="0.5"' in tif.ome_metadata


def test_the_same_result_gives_the_same_bytes(tmp_path):
    for name in ('a', 'b'):
        write_label_image(tmp_path / name, many_cells(65_536))
    assert (tmp_path / 'a').read_bytes() == (tmp_path / 'b').read_bytes()


@pytest.mark.parametrize(('num_t', 'num_z'), [(1, 1), (3, 1), (1, 3), (2, 2)])
def test_masks_come_back(tmp_path, num_t, num_z):
    result = random_result(3, num_t, num_z)
    write_label_image(tmp_path / 'x.tif', result)
    frames = read_label_image(tmp_path / 'x.tif')
    assert list(frames) == [(frame.t, frame.z) for frame in result.frames]
    for (numbers, masks), frame in zip(frames.values(), result.frames, strict=True):
        assert numbers.tolist() == list(range(1, len(frame.detections) + 1))
        np.testing.assert_array_equal(masks.to_ndarray(), bitmaps_of(frame))


@pytest.mark.parametrize(('dtype', 'highest'), [
    ('uint8', 3), ('int32', 3), ('uint32', 4_000_000_000), ('uint64', 2**64 - 1),
    ('int64', 2**63 - 1)])
def test_there_is_a_mask_for_each_number_that_occurs(tmp_path, dtype, highest):
    labels = np.array([[0, highest, highest], [1, 0, 0]], dtype)
    if labels.dtype.kind == 'i':
        labels[1, 2] = -5  # background, too
    tifffile.imwrite(tmp_path / 'x.tif', labels)
    [(numbers, masks)] = read_label_image(tmp_path / 'x.tif').values()
    assert numbers.tolist() == [1, highest]
    np.testing.assert_array_equal(masks.to_ndarray(), [labels == 1, labels == highest])


@pytest.mark.parametrize('labels', [np.full((2, 3), 7), np.zeros((2, 3), int)])
def test_without_background_or_without_cells(labels):
    numbers, masks = find_masks(labels)
    assert numbers.tolist() == sorted({7} & set(labels.ravel().tolist()))
    assert masks.areas.tolist() == [labels.size] * len(numbers)


def test_memory_does_not_follow_the_numbers():
    labels = np.zeros((64, 64), np.uint32)
    labels[3, 5], labels[9, 9] = 40_000_000, 2
    tracemalloc.start()
    find_masks(labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_what_is_no_label_image(tmp_path):
    tifffile.imwrite(tmp_path / 'float.tif', np.zeros((4, 4), np.float32))
    (tmp_path / 'text.tif').write_text('no picture')
    for name, problem in (('float', 'found axes YX of float32'), ('text', 'cannot be read'),
                          ('none', 'no such file')):
        with pytest.raises(UserError, match=f'{name}.tif: {problem}'):
            read_label_image(tmp_path / f'{name}.tif')


@pytest.mark.parametrize('compression', [None, 'zlib', 'zstd', 'lzw', 'packbits'])
@pytest.mark.parametrize('place', [0.4, 0.9])
def test_a_damaged_label_image(tmp_path, compression, place):
    """Missing cells would count as misses in a report."""
    labels = np.random.default_rng(0).integers(0, 900, (2, 64, 64)).astype(np.uint16)
    tifffile.imwrite(tmp_path / 'x.tif', labels, compression=compression, rowsperstrip=16,
                     photometric='minisblack')
    content = (tmp_path / 'x.tif').read_bytes()
    cut = int(len(content) * place)
    damaged = content[:cut] + bytes(60) + content[cut + 60:]
    for wrong in (content[:cut], damaged)[:1 + (compression in ('zlib', 'lzw'))]:  # checked codes
        (tmp_path / 'x.tif').write_bytes(wrong)
        with pytest.raises(UserError, match=r'x.tif: .*expected a whole'):
            read_label_image(tmp_path / 'x.tif')


def test_a_page_that_was_taken_out_of_a_stack(tmp_path):
    labels = np.eye(8, dtype=np.uint16)
    tifffile.imwrite(tmp_path / 'x.tif', labels, description='ImageJ=1.53t\nimages=4\nslices=4\n',
                     metadata=None)
    (_, masks), = read_label_image(tmp_path / 'x.tif').values()
    assert masks.areas.tolist() == [8]


def test_a_png_of_any_size(tmp_path, monkeypatch):
    """As of a mosaic, which Pillow takes for an attack."""
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 8)
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / 'x.png')
    (_, masks), = read_label_image(tmp_path / 'x.png').values()
    assert masks.areas.tolist() == [8]
    (tmp_path / 'x.png').write_bytes((tmp_path / 'x.png').read_bytes()[:50])
    with pytest.raises(UserError, match=r'x.png: cannot be read, expected a whole PNG file'):
        read_label_image(tmp_path / 'x.png')

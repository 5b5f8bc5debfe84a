import cv2
import numpy as np
import pytest
from PIL import Image

from mmsart.formats.overlay import (
    draw_overlay,
    paint_cells,
    scale_bar_length,
    to_display,
    write_overlay,
)
from mmsart.structures.image_result import FrameResult, ImageResult
from mmsart.structures.mask.patch_masks import PatchMasks
from tests.test_formats.results import CLASSES, make_frame, random_result

GREEN = (0, 200, 0)


def flat_result(bitmaps, pixel_size=None, grey=100):
    """Make a result on a flat 8-bit image, so that whatever has another colour was drawn."""
    frame = make_frame(bitmaps, np.random.default_rng(0))
    image = np.full(bitmaps.shape[1:], grey, np.uint8)
    frame = FrameResult(frame.detections, image, frame.t, frame.z)
    return ImageResult('dir/flat.png', [frame], CLASSES, pixel_size=pixel_size)


def plain_outline(bitmap, scale, width):
    """Find the pixels of a mask that are at most `width` from its outside, by a full canvas."""
    large = np.kron(bitmap, np.ones((scale, scale), bool))
    outside = np.pad(~large, width, constant_values=True)
    near = np.zeros(large.shape, bool)
    for y in range(2 * width + 1):
        for x in range(2 * width + 1):
            near |= outside[y:y + large.shape[0], x:x + large.shape[1]]
    return large & near


@pytest.mark.parametrize(('scale', 'width'), [(1, 1), (2, 1), (3, 2), (2, 3)])
def test_lines_lie_inside_their_mask_and_are_so_wide(scale, width):
    frame = random_result(3).frames[0]
    height, widths = frame.size
    for mask in range(len(frame.detections)):
        masks = frame.detections.masks[[mask]]
        picture = np.zeros((height * scale, widths * scale, 3), np.uint8)
        paint_cells(picture, masks, np.array([GREEN]), scale=scale, width=width)
        drawn = (picture == GREEN).all(axis=2)
        bitmap = masks.to_ndarray()[0].astype(bool)
        np.testing.assert_array_equal(drawn, plain_outline(bitmap, scale, width))


def test_fill_tints_the_inside_alone():
    bitmap = np.zeros((1, 9, 9), bool)
    bitmap[0, 2:7, 2:7] = True
    picture = np.full((9, 9, 3), 100, np.uint8)
    paint_cells(picture, PatchMasks.from_bitmaps(bitmap), np.array([(200, 0, 0)]), fill=0.5)
    assert picture[4, 4].tolist() == [150, 50, 50]
    assert picture[2, 2].tolist() == [200, 0, 0]
    assert (picture[~bitmap[0]] == 100).all()


def test_small_images_are_magnified_and_large_ones_kept():
    bitmap = np.zeros((1, 100, 150), bool)
    bitmap[0, 40:60, 50:80] = True
    picture = draw_overlay(flat_result(bitmap).frames[0], flat_result(bitmap))
    assert picture.shape[1] == 600
    assert (picture[:400] == 100).all(axis=2).any()
    large = flat_result(np.zeros((0, 1300, 900), bool))
    assert draw_overlay(large.frames[0], large).shape[1] == 900


def test_lines_grow_with_the_picture_as_far_as_cells_leave_room():
    def line(side, cell):
        bitmap = np.zeros((1, side, side), bool)
        bitmap[0, 100:100 + cell, 100:100 + cell] = True
        result = flat_result(bitmap)
        picture = draw_overlay(result.frames[0], result)
        row = (picture[100 + cell // 2] == result.colours[0]).all(axis=1)
        return row.sum() // 2

    assert line(1_400, 100) == 2
    assert line(4_200, 100) == 6
    assert line(4_200, 20) == 2


def test_numbers_stay_in_the_picture_and_cover_no_pixel_elsewhere():
    bitmaps = np.zeros((2, 400, 400), bool)
    bitmaps[0, :3, :3] = True
    bitmaps[1, 200:300, 200:300] = True
    result = flat_result(bitmaps)
    without = draw_overlay(result.frames[0], result)
    numbers = draw_overlay(result.frames[0], result, numbers=True)
    changed = (without != numbers).any(axis=2)
    assert changed[:30, :30].any()  # the cell in the corner is too small for its number
    assert changed[690:810, 690:810].any()
    changed[:30, :30] = changed[600:900, 600:900] = False
    assert not changed.any()


def footer_text_width(result):
    picture = draw_overlay(result.frames[0], result)
    height, width = result.size
    footer = picture[height * (picture.shape[1] // width):]
    return np.flatnonzero((footer != 255).any(axis=(0, 2))).max()


def test_the_footer_has_a_scale_bar_where_the_pixel_size_is_known():
    bitmaps = np.zeros((1, 900, 1_200), bool)
    bitmaps[0, 100:200, 100:200] = True
    result = flat_result(bitmaps, pixel_size=0.5)
    picture = draw_overlay(result.frames[0], result)[900:]
    # 1,200 px are 600 um; a quarter of them has room for 100 um, 200 px.
    runs = [len(run) for row in (picture == 0).all(axis=2)
            for run in ''.join('x' if black else ' ' for black in row).split()]
    assert max(runs) == 200
    assert footer_text_width(flat_result(bitmaps)) < footer_text_width(result)


@pytest.mark.parametrize(('most', 'length'), [
    (0.0499, 0.02), (1, 1), (1.99, 1), (4.9, 2), (7, 5), (99, 50), (250, 200)])
def test_scale_bars_are_round(most, length):
    assert scale_bar_length(most) == pytest.approx(length)


def test_narrow_pictures_and_long_names_break_into_lines():
    result = random_result(1, height=300, width=60, pixel_size=0.1)
    narrow = ImageResult('a_very_long_name_' * 10 + '.png', result.frames, CLASSES, pixel_size=0.1)
    picture = draw_overlay(narrow.frames[0], narrow)
    assert picture.shape[1] == 60 * 4
    assert picture.shape[0] > 300 * 4 + 60


def test_deep_images_are_stretched_and_shallow_ones_kept():
    shallow = np.array([[3, 250]], np.uint8)
    assert to_display(shallow) is shallow
    deep = np.linspace(1_000, 3_000, 10_000).reshape(100, 100)
    for image in (deep, deep.astype(np.uint16), deep.astype(np.float32)):
        shown = to_display(image)
        assert shown.dtype == np.uint8
        assert (shown.min(), shown.max()) == (0, 255)
        assert abs(int(shown[50, 0]) - 127) <= 1
    given = to_display(np.array([[0, 50, 100, 200]], np.uint16), (0, 100))
    assert given.tolist() == [[0, 128, 255, 255]]
    negative = to_display(np.array([[0, 50, 100, 200]], np.uint16), (100, 0))
    assert negative.tolist() == [[255, 128, 0, 0]]
    assert to_display(np.array([[np.nan, 0, 1]], np.float32), (0, 1)).tolist() == [[0, 0, 255]]
    for flat in (np.full((3, 3), 7, np.uint16), np.full((3, 3), np.nan)):
        assert to_display(flat).tolist() == [[0] * 3] * 3


def test_the_file_has_the_colours_of_the_picture(tmp_path):
    result = random_result(2)
    write_overlay(tmp_path / 'é x.png', result.frames[0], result)
    expected = draw_overlay(result.frames[0], result)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / 'é x.png')), expected)
    assert (cv2.cvtColor(expected, cv2.COLOR_RGB2GRAY)[..., None] != expected).any()


@pytest.mark.filterwarnings('error')
def test_values_beyond_single_precision_are_shown():
    tiny = np.array([[0, 1e-37, 2.5e-38]], np.float32)
    assert to_display(tiny, (0, 1e-37)).tolist() == [[0, 255, 64]]
    image = np.array([[0.0, 1e300, 5e299, np.nan]])
    assert to_display(image, (0, 1e300)).tolist() == [[0, 255, 128, 0]]

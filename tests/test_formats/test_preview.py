import numpy as np
import pytest
from PIL import Image

from mmsart.formats.preview import write_previews
from mmsart.structures.image_result import FrameResult, ImageResult
from tests.test_formats.results import CLASSES, make_frame, random_result


def wide_result(width):
    frame = make_frame(np.zeros((0, 20, width), bool), np.random.default_rng(0))
    image = np.tile(np.linspace(0, 255, width).astype(np.uint8), (20, 1))
    return ImageResult('x', [FrameResult(frame.detections, image)], CLASSES)


@pytest.mark.parametrize(('width', 'size'), [(300, (300, 20)), (3_200, (1_600, 10)),
                                              (120_000, (1_600, 1))])
def test_large_images_shrink_and_small_ones_stay(tmp_path, width, size):
    [path] = write_previews(tmp_path / 'new', 'a b', wide_result(width))
    assert path == tmp_path / 'new' / 'a b.jpg'
    with Image.open(path) as picture:
        assert picture.size == size
        assert picture.mode == 'L'
        shown = np.asarray(picture).astype(int)
    assert abs(shown - np.linspace(0, 255, size[0])).max() < 8


def test_a_stack_has_a_file_a_frame(tmp_path):
    paths = write_previews(tmp_path, 'x', random_result(0, num_t=3))
    assert [path.name for path in paths] == ['x_t00.jpg', 'x_t01.jpg', 'x_t02.jpg']
    assert all(path.is_file() for path in paths)

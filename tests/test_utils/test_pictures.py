"""Pictures: what was written is read back; a full disk says so and leaves nothing."""
import cv2
import numpy as np
import pytest
from PIL import Image

from mmsart.utils import UserError
from mmsart.utils.pictures import write_picture
from tests.full_disk import largest_file

NOISE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)


@pytest.mark.parametrize('picture', [NOISE, NOISE[..., 0], NOISE[:, ::2]])
def test_pictures_are_read_back_as_they_were(tmp_path, picture):
    write_picture(tmp_path / 'new' / 'a b.png', picture)
    with Image.open(tmp_path / 'new' / 'a b.png') as read:
        np.testing.assert_array_equal(np.asarray(read), picture)


def test_parameters_are_passed_on(tmp_path):
    for quality in (10, 90):
        write_picture(tmp_path / f'{quality}.jpg', NOISE, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert (tmp_path / '10.jpg').stat().st_size < (tmp_path / '90.jpg').stat().st_size / 2


def test_a_full_disk_gives_its_reason_and_keeps_what_was_there(tmp_path):
    path = tmp_path / 'a.png'
    write_picture(path, NOISE[:2])
    before = path.read_bytes()
    with largest_file(2_000), pytest.raises(OSError, match='File too large'):
        write_picture(path, NOISE)
    assert [entry.name for entry in tmp_path.iterdir()] == ['a.png']
    assert path.read_bytes() == before


def test_a_picture_beyond_its_format_is_named(tmp_path):
    with pytest.raises(UserError, match=r'a\.jpg: found a picture of 70000 x 1 pixels, expected '
                       r'one that a \.jpg file can hold'):
        write_picture(tmp_path / 'a.jpg', np.zeros((1, 70_000), np.uint8))
    assert list(tmp_path.iterdir()) == []

"""Listing the images of a folder."""
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mmsart.datasets.image_folder import image_size, list_images
from mmsart.utils import MissingFileError, UserError


@pytest.fixture
def folder(tmp_path):
    for name in ('b.png', 'a.TIF', 'c.bmp'):
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / name)
    (tmp_path / 'notes.txt').write_text('no image')
    return tmp_path


def test_images_are_sorted_and_have_their_size(folder):
    paths = list_images(folder)
    assert [path.name for path in paths] == ['a.TIF', 'b.png', 'c.bmp']
    assert {image_size(path) for path in paths} == {(4, 5)}


def test_two_of_one_name_are_refused(folder):
    Image.fromarray(np.zeros((6, 7), np.uint8)).save(folder / 'b.jpg')
    with pytest.raises(UserError, match=r'found b\.jpg and b\.png, expected one image of the id b'):
        list_images(folder)


def test_folders_with_the_images_are_named(folder):
    for name in ('train', 'test'):
        (folder / 'data' / name).mkdir(parents=True)
        (folder / 'data' / name / 'a.tif').write_bytes((folder / 'a.TIF').read_bytes())
    (folder / 'data' / 'none').mkdir()
    with pytest.raises(UserError, match=r'/data: no image, .*; there are some in the '
                                        r'folders below: test, train$'):
        list_images(folder / 'data')


@pytest.mark.parametrize(('name', 'error', 'words'), [
    ('nowhere', MissingFileError, 'nowhere: no such folder'), ('empty', UserError, 'no image')])
def test_folders_without_images(tmp_path, name, error, words):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(error, match=words):
        list_images(tmp_path / name)


def test_importing_it_is_light():
    code = 'import sys, mmsart.datasets.image_folder; sys.exit("mmdet" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


def test_hidden_files_and_folders_are_passed_over(folder):
    """A Mac leaves ._b.png beside b.png on disks that are not its own."""
    (folder / '._b.png').write_bytes(b'\0\5\x16\7')
    (folder / '.hidden.png').write_bytes(b'')
    (folder / 'crops.png').mkdir()
    assert [path.name for path in list_images(folder)] == ['a.TIF', 'b.png', 'c.bmp']

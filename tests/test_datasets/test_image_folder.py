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


@pytest.mark.parametrize(('name', 'error', 'words'), [
    ('nowhere', MissingFileError, 'nowhere: no such folder'), ('empty', UserError, 'no image')])
def test_folders_without_images(tmp_path, name, error, words):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(error, match=words):
        list_images(tmp_path / name)


@pytest.mark.parametrize('content', [b'', b'no png'])
def test_an_unreadable_image_is_named(tmp_path, content):
    (tmp_path / 'a.png').write_bytes(content)
    with pytest.raises(UserError, match=r'a\.png: not a readable image, expected \.png data'):
        image_size(tmp_path / 'a.png')


def test_importing_it_is_light():
    code = 'import sys, mmsart.datasets.image_folder; sys.exit("mmdet" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


def test_a_png_that_is_cut_off_is_refused(tmp_path):
    path = tmp_path / 'a.png'
    Image.fromarray((np.arange(400) % 256).astype(np.uint8).reshape(20, 20)).save(path)
    whole = path.read_bytes()
    assert image_size(path) == (20, 20)
    path.write_bytes(whole[:-20])
    with pytest.raises(UserError, match='cut off'):
        image_size(path)

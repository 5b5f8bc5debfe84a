"""A symbolic link that leads nowhere is called one, and not a file that is not there."""
import re

import pytest

from mmsart.apis.config import load_config
from mmsart.datasets.coco_file import read_coco
from mmsart.datasets.image_folder import image_size, list_images
from mmsart.datasets.sartorius import SartoriusDataset
from mmsart.datasets.train_csv import read_train_csv
from mmsart.engine.runner.checkpoint_files import find_checkpoint
from mmsart.formats.submission import read_submission
from mmsart.utils import MissingFileError


@pytest.mark.parametrize('read', [
    load_config, read_coco, image_size, list_images, read_train_csv, find_checkpoint,
    read_submission, lambda path: SartoriusDataset(data_prefix=dict(img=path), pipeline=[])])
@pytest.mark.parametrize('target', ['moved', 'link'])  # the second is a loop
def test_a_broken_link_is_called_one(tmp_path, read, target):
    link = tmp_path / 'link'
    link.symlink_to(target)
    with pytest.raises(MissingFileError, match=re.escape(
            f'{link}: a symbolic link to {target}, which does not exist, expected ')):
        read(str(link))


def test_a_broken_checkpoint_is_not_the_best(tmp_path):
    (tmp_path / 'best_a.pth').symlink_to('moved')
    (tmp_path / 'best_b.pth').write_bytes(b'')
    assert find_checkpoint(tmp_path) == str(tmp_path / 'best_b.pth')


def test_an_image_that_is_a_link_to_a_file_is_read(tmp_path, write_table):
    root = write_table([{}])
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images' / 'a.png').symlink_to(root / 'train' / 'a.png')
    (tmp_path / 'all').symlink_to(tmp_path / 'images')
    assert [path.name for path in list_images(tmp_path / 'all')] == ['a.png']
    assert image_size(tmp_path / 'all' / 'a.png') == (8, 10)

"""What is no file is called what it is: links that lead nowhere, folders, pipes and sockets."""
import os
import re
import socket

import pytest

from mmsart.apis.config import load_config
from mmsart.apis.export import read_facts
from mmsart.datasets.coco_file import read_coco
from mmsart.datasets.image_folder import image_size, list_images
from mmsart.datasets.sartorius import SartoriusDataset
from mmsart.datasets.train_csv import read_train_csv
from mmsart.engine.runner.checkpoint_files import find_checkpoint, find_resumable
from mmsart.formats.label_image import read_label_image
from mmsart.formats.predictions import load_predictions
from mmsart.formats.submission import read_submission
from mmsart.imaging import open_image
from mmsart.imaging.inputs import find_inputs
from mmsart.postprocessing import load_postprocess
from mmsart.report.truth import read_truth
from mmsart.utils import MissingFileError
from mmsart.weights import read_checkpoint
from mmsart.weights.resolve import choose_source


def read_settings(path):
    return load_postprocess(path, ('cell',))


def list_inputs(path):
    return find_inputs([path])


def read_data_set(path):
    return SartoriusDataset(data_prefix=dict(img=path), pipeline=[])


FILE_READERS = [load_config, read_coco, read_train_csv, read_submission, read_label_image,
                load_predictions, open_image, read_settings, read_truth, read_checkpoint,
                read_facts, choose_source]
FOLDER_READERS = [list_images, read_data_set]


@pytest.mark.parametrize(
    'read', [*FILE_READERS, *FOLDER_READERS, image_size, find_checkpoint, list_inputs])
@pytest.mark.parametrize('target', ['moved', 'link'])  # the second is a loop
def test_a_broken_link_is_called_one(tmp_path, read, target):
    link = tmp_path / 'link'
    link.symlink_to(target)
    with pytest.raises(MissingFileError, match=re.escape(
            f'{link}: a symbolic link to {target}, which does not exist, expected ')):
        read(str(link))


@pytest.mark.parametrize('read', FILE_READERS)
def test_a_folder_is_no_file(tmp_path, read):
    (tmp_path / 'link').symlink_to(tmp_path)
    for path in (tmp_path, tmp_path / 'link'):
        with pytest.raises(MissingFileError, match=re.escape(f'{path}: found a folder, expected ')):
            read(str(path))


@pytest.mark.parametrize(
    'read', [*FILE_READERS, *FOLDER_READERS, image_size, find_checkpoint, list_inputs])
def test_pipes_and_sockets_are_not_opened(tmp_path, monkeypatch, read):
    monkeypatch.chdir(tmp_path)  # a socket's whole path may be too long
    os.mkfifo('pipe')
    with socket.socket(socket.AF_UNIX) as server:
        server.bind('socket')
        for name in ('pipe', 'socket'):
            with pytest.raises(MissingFileError, match=f'^{name}: found a {name}, expected '):
                read(name)


def test_a_pipe_among_images_gets_its_line(tmp_path):
    os.mkfifo(tmp_path / 'a.png')
    for given in (tmp_path, tmp_path / '*.png'):
        [image] = find_inputs([given])
        with pytest.raises(MissingFileError, match=r'a\.png: found a pipe, expected an image'):
            open_image(image.path)


def test_a_pipe_is_no_checkpoint_of_a_run(tmp_path):
    os.mkfifo(tmp_path / 'epoch_1.pth')
    assert find_resumable(tmp_path) is None


@pytest.mark.parametrize('read', FOLDER_READERS)
def test_a_file_is_no_folder(tmp_path, read):
    (tmp_path / 'file').touch()
    (tmp_path / 'link').symlink_to('file')
    for path in (tmp_path / 'file', tmp_path / 'link'):
        with pytest.raises(MissingFileError, match=re.escape(f'{path}: found a file, expected ')):
            read(str(path))


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

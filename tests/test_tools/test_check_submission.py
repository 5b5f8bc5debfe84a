import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mmsart.cli.check_submission import main


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / 'test'
    folder.mkdir()
    for name in ('a', 'b'):
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(folder / f'{name}.png')
    return folder


def run(tmp_path, text, *options):
    (tmp_path / 's.csv').write_text('id,predicted\n' + text)
    return main([str(tmp_path / 's.csv'), *map(str, options)])


def test_good_file(tmp_path, images, capsys):
    assert run(tmp_path, 'a,1 2\na,3 1\nb,\n', '--images', images) == 0
    assert '2 instances in 2 images' in capsys.readouterr().out


def test_each_problem_on_its_line(tmp_path, images, capsys):
    assert run(tmp_path, 'a,1 2\na,2 1\nz,1 1\n', '--images', images) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert 'line 3' in lines[0]
    assert 'line 2' in lines[0]
    assert 'line 4' in lines[1]
    assert "'b'" in lines[2]


def test_subset_size_and_limit(tmp_path, images, capsys):
    assert run(tmp_path, 'a,1 2\n', '--images', images, '--subset') == 0
    assert run(tmp_path, 'x,1 2\n', '--size', 4, 5) == 0
    assert run(tmp_path, 'x,1\nx,1\n', '--size', 4, 5, '--limit', 1) == 2
    assert '--limit' in capsys.readouterr().err


@pytest.mark.parametrize(('limit', 'shown', 'stopped'), [(1, 1, True), (2, 2, False)])
def test_the_check_has_stopped_only_where_there_is_more(tmp_path, capsys, limit, shown, stopped):
    assert run(tmp_path, 'x,1\nx,1\n', '--size', 4, 5, '--limit', limit) == 2
    error = capsys.readouterr().err
    assert error.count('error: ') == shown
    assert ('the check stopped' in error) == stopped


def test_two_images_of_one_id_are_named(tmp_path, images, capsys):
    Image.fromarray(np.zeros((6, 7), np.uint8)).save(images / 'a.tif')
    assert run(tmp_path, 'a,1 2\n', '--images', images, '--subset') == 2
    assert 'found a.png and a.tif, expected one image' in capsys.readouterr().err


def test_every_unreadable_image_is_named(tmp_path, images, capsys):
    (images / 'a.png').write_bytes(b'no png')
    (images / 'c.png').symlink_to('nowhere')
    assert run(tmp_path, 'a,1 2\n', '--images', images) == 2
    error = capsys.readouterr().err
    assert error.count('error: ') == error.count('\n') == 2


def test_a_stitched_image_has_a_size(tmp_path, capsys):
    """Pillow takes more than 179 million pixels for an attack; the header is all that is read."""
    def chunk(name, data):
        return (struct.pack('>I', len(data)) + name + data
                + struct.pack('>I', zlib.crc32(name + data)))
    head = struct.pack('>IIBBBBB', 14_000, 13_500, 8, 0, 0, 0, 0)
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images' / 'a.png').write_bytes(
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', b'') + chunk(b'IEND', b''))
    assert run(tmp_path, 'a,189000000 1\n', '--images', tmp_path / 'images') == 0
    assert run(tmp_path, 'a,189000000 2\n', '--images', tmp_path / 'images') == 2
    assert 'past the image' in capsys.readouterr().err


def test_a_macs_hidden_companions_are_no_images(tmp_path, images):
    (images / '._a.png').write_bytes(b'\0\5\x16\7')
    assert run(tmp_path, 'a,1 2\nb,\n', '--images', images) == 0


def test_truth_gives_ids_and_sizes(tmp_path, capsys):
    (tmp_path / 'train.csv').write_text(
        'id,annotation,width,height,cell_type,plate_time,sample_date,sample_id,elapsed_timedelta\n'
        'a,1 2,5,4,cort,,,s,\n')
    assert run(tmp_path, 'a,20 1\n', '--truth', tmp_path / 'train.csv') == 0
    assert run(tmp_path, 'a,20 2\n', '--truth', tmp_path / 'train.csv') == 2
    assert 'past the image' in capsys.readouterr().err


@pytest.mark.parametrize(('options', 'word'), [
    (['--images', 'nowhere'], 'nowhere'),
    (['--images', '.'], 'no image'),
    (['--size', '0', '5'], '--size'),
    (['--size', '4', '5', '--limit', '0'], '--limit: found 0'),
])
def test_bad_options(tmp_path, monkeypatch, capsys, options, word):
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path, 'a,1 1\n', *options) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ')
    assert word in error
    assert error.count('\n') == 1

"""Grey values of many stacks, of which few are open at a time."""
import os

import numpy as np
import pytest
import tifffile

from mmsart.imaging.raw_plane import OPEN_FILES, RawPlane, StackFile
from mmsart.imaging.read_options import ReadOptions
from mmsart.utils import MissingFileError, UserError

STACKS = np.random.default_rng(0).integers(0, 4096, (3 * OPEN_FILES, 2, 9, 8), dtype=np.uint16)


def open_stack(path, **options):
    read = ReadOptions(**options)
    return StackFile(read.open(path), path, read)


def test_many_stacks_hold_few_files_open(tmp_path):
    before, files = len(os.listdir('/dev/fd')), []
    for number, stack in enumerate(STACKS):
        tifffile.imwrite(tmp_path / f'{number}.tif', stack, photometric='minisblack')
        files.append(open_stack(tmp_path / f'{number}.tif', axes='TYX'))
    for number in (0, len(STACKS) - 1, 5, 5, 0, *range(len(STACKS))):
        for frame in (1, 0):
            plane = np.asarray(RawPlane(files[number], frame))
            np.testing.assert_array_equal(plane, STACKS[number, frame])
            assert plane.dtype == np.uint16
        assert len(os.listdir('/dev/fd')) <= before + 2 * OPEN_FILES
    for file in files:
        file.close()
    del plane
    assert len(os.listdir('/dev/fd')) == before


def test_a_file_is_found_again_from_another_folder(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / 'a.tif', STACKS[0], photometric='minisblack')
    monkeypatch.chdir(tmp_path)
    file = open_stack('a.tif', axes='TYX')
    monkeypatch.chdir('/')
    file.close()
    np.testing.assert_array_equal(file.read_raw(1), STACKS[0, 1])


def test_a_file_that_is_another_one_now(tmp_path):
    tifffile.imwrite(tmp_path / 'a.tif', STACKS[0], photometric='minisblack')
    file = open_stack(tmp_path / 'a.tif', axes='TYX')
    file.close()
    tifffile.imwrite(tmp_path / 'a.tif', STACKS[0, :1], photometric='minisblack')
    with pytest.raises(UserError, match=r'a.tif: the file has changed since the cells were found'):
        file.read_raw(0)
    (tmp_path / 'a.tif').unlink()
    with pytest.raises(MissingFileError, match=r'a.tif: no such file'):
        file.read_raw(0)


def test_an_array_is_as_good_as_a_file():
    file = open_stack(STACKS[0], axes='TYX')
    file.close()
    np.testing.assert_array_equal(file.read_raw(1), STACKS[0, 1])

"""Which checkpoint a path stands for."""
import os

import pytest

from mmsart.engine.runner.checkpoint_files import (
    find_checkpoint,
    find_resumable,
    write_last_checkpoint,
)
from mmsart.utils import MissingFileError
from tests.test_engine import toy_run


@pytest.fixture
def work_dir(tmp_path):
    folder = tmp_path / 'run'
    folder.mkdir()
    for name in ('epoch_1.pth', 'epoch_2.pth'):
        (folder / name).write_bytes(b'')
    return folder


def test_a_file_stands_for_itself(work_dir):
    assert find_checkpoint(work_dir / 'epoch_1.pth') == str(work_dir / 'epoch_1.pth')


def test_the_newest_best_comes_first(work_dir):
    (work_dir / 'last_checkpoint').write_text(str(work_dir / 'epoch_2.pth'))
    for age, name in enumerate(('best_b_epoch_2.pth', 'best_a_epoch_1.pth')):
        (work_dir / name).write_bytes(b'')
        os.utime(work_dir / name, (100 - age, 100 - age))
    assert find_checkpoint(work_dir) == str(work_dir / 'best_b_epoch_2.pth')


def test_without_a_best_it_is_the_last(work_dir):
    (work_dir / 'last_checkpoint').write_text(f'{work_dir}/epoch_2.pth\n')
    assert find_checkpoint(work_dir) == str(work_dir / 'epoch_2.pth')


def test_a_pointer_that_is_no_text_is_none(work_dir):
    (work_dir / 'last_checkpoint').write_bytes(b'\xff\xfe\0')
    with pytest.raises(MissingFileError, match='run: no checkpoint in this folder'):
        find_checkpoint(work_dir)
    assert find_resumable(work_dir) is None  # the files are empty
    (work_dir / 'best_b_epoch_2.pth').write_bytes(b'')
    assert find_checkpoint(work_dir) == str(work_dir / 'best_b_epoch_2.pth')


def test_a_moved_folder_stands_for_its_own_files(work_dir, tmp_path):
    (work_dir / 'last_checkpoint').write_text('/elsewhere/run/epoch_2.pth')
    assert find_checkpoint(work_dir) == str(work_dir / 'epoch_2.pth')


def test_checkpoints_kept_elsewhere_are_found(work_dir, tmp_path):
    other = tmp_path / 'other.pth'
    other.write_bytes(b'')
    (work_dir / 'last_checkpoint').write_text(str(other))
    assert find_checkpoint(work_dir) == str(other)


@pytest.mark.parametrize(('name', 'pointer', 'message'), [
    ('nothing.pth', None, 'nothing.pth: no such file, expected a checkpoint'),
    ('run', None, 'run: no checkpoint in this folder, expected a work dir'),
    ('run', 'epoch_9.pth', 'epoch_9.pth: no such file, expected the checkpoint that .*run/last_'),
])
def test_what_is_missing_is_named(work_dir, tmp_path, name, pointer, message):
    if pointer:
        (work_dir / 'last_checkpoint').write_text(pointer)
    with pytest.raises(MissingFileError, match=message):
        find_checkpoint(tmp_path / name)


@pytest.mark.parametrize('out_dir', ['elsewhere', '/elsewhere'])
def test_a_work_dir_stands_for_its_best_checkpoint_wherever_it_is(tmp_path, monkeypatch, out_dir):
    """Also from another folder than the run was started in."""
    monkeypatch.chdir(tmp_path)
    hooks = toy_run.config('')['default_hooks']
    hooks['checkpoint']['out_dir'] = out_dir.replace('/', f'{tmp_path}/')
    toy_run.build('runs/toy', default_hooks=hooks).train()
    (tmp_path / 'other').mkdir()
    monkeypatch.chdir(tmp_path / 'other')
    found = find_checkpoint(tmp_path / 'runs/toy')
    assert found.startswith(f'{tmp_path}/elsewhere/toy/best_score_epoch_')
    os.unlink(found)
    assert find_checkpoint(tmp_path / 'runs/toy') == f'{tmp_path}/elsewhere/toy/epoch_4.pth'


def test_the_best_of_another_work_dir_is_none_of_ours(tmp_path):
    """A folder copied without its checkpoints still names those of the original."""
    for name in ('first', 'copy'):
        (tmp_path / name).mkdir()
    (tmp_path / 'first/best_mAP_epoch_2.pth').write_text('')
    (tmp_path / 'first/epoch_3.pth').write_text('')
    for name in ('first', 'copy'):
        write_last_checkpoint(tmp_path / name, str(tmp_path / 'first/epoch_3.pth'))
    assert find_checkpoint(tmp_path / 'copy') == str(tmp_path / 'first/epoch_3.pth')

"""Errors of tools, atomic files, and the doctor."""
import os
import stat

import pytest
import torch

from mmsart.utils import MissingFileError, UserError, atomic_write, check_writable, cli_main
from mmsart.utils import doctor as doctor_module
from mmsart.utils.doctor import Check, run_checks
from tests.run_tool import run_tool


@pytest.mark.parametrize(('error', 'line'), [
    (UserError('a.csv: row 2:\n bad'), 'error: a.csv: row 2: bad'),
    (MissingFileError('a.csv: no such file'), 'error: a.csv: no such file'),
    (PermissionError(13, 'Permission denied', 'out.csv'), 'error: out.csv: Permission denied'),
])
def test_user_errors_are_one_line_and_code_2(capsys, error, line):
    @cli_main
    def main():
        raise error
    assert main() == 2
    assert capsys.readouterr().err == line + '\n'


class Broken(torch.utils.data.Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise UserError('b.png: unreadable')


def test_an_error_in_a_worker_is_one_line_too(capsys):
    @cli_main
    def main():
        list(torch.utils.data.DataLoader(Broken(), num_workers=1))
    assert main() == 2
    assert capsys.readouterr().err == 'error: b.png: unreadable\n'


@pytest.mark.parametrize('error', [ValueError('a defect'), OSError('no file named'), KeyError(1)])
def test_defects_keep_their_traceback(error):
    @cli_main
    def main():
        raise error
    with pytest.raises(type(error)):
        main()


@pytest.mark.parametrize(('returned', 'code'), [(None, 0), (0, 0), (1, 1)])
def test_exit_codes_pass(returned, code):
    assert cli_main(lambda: returned)() == code


def test_a_file_appears_when_it_is_whole(tmp_path):
    target = tmp_path / 'new' / 'a.txt'
    with atomic_write(target) as temporary:
        temporary.write_text('whole')
        assert not target.exists()
        assert temporary.suffix == '.txt'
    assert target.read_text() == 'whole'
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask
    assert os.listdir(target.parent) == ['a.txt']


def test_a_failure_leaves_the_old_file(tmp_path):
    target = tmp_path / 'a.txt'
    target.write_text('old')

    def fail_half_way():
        with atomic_write(target) as temporary:
            temporary.write_text('half')
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert target.read_text() == 'old'
    assert os.listdir(tmp_path) == ['a.txt']


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='file/sub: expected a folder that can be written'):
        check_writable(tmp_path / 'file' / 'sub')


def test_a_file_in_place_of_a_folder_is_called_a_file(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='file: expected a folder that can be written, found: a fi'):
        check_writable(tmp_path / 'file')


def test_a_folder_in_place_of_a_file_is_named_before_any_work(tmp_path):
    (tmp_path / 'folder').mkdir()
    begun = False
    with (pytest.raises(UserError, match='folder: found a folder, expected the name of a file'),
          atomic_write(tmp_path / 'folder')):
        begun = True
    assert not begun
    assert os.listdir(tmp_path) == ['folder']


def test_a_pipe_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    with (pytest.raises(UserError, match='pipe: found a device or pipe, expected the name of a'),
          atomic_write(tmp_path / 'pipe')):
        pass
    assert (tmp_path / 'pipe').is_fifo()


def test_the_doctor_finds_a_good_installation(write_table):
    checks = run_checks(write_table([{}, dict(id='b')]))
    assert [check for check in checks if check.state == 'FAIL'] == []
    assert checks[-1].found == '2 images, 2 cells, all readable'


@pytest.mark.parametrize(('spoil', 'found'), [
    (lambda root: (root / 'train' / 'a.png').unlink(), 'a.png is missing (row 2'),
    (lambda root: (root / 'train' / 'a.png').write_bytes(b''), 'a.png is unreadable (row 2'),
    (lambda root: (root / 'train.csv').unlink(), 'no such file'),
])
def test_the_doctor_names_what_the_data_lack(write_table, spoil, found):
    root = write_table([{}])
    spoil(root)
    check = run_checks(root)[-1]
    assert check.state == 'FAIL'
    assert found in check.found
    assert 'SARTORIUS_ROOT' in check.cure


def test_the_doctor_reports_operators_that_do_not_run(monkeypatch, write_table):
    def broken(device):
        raise ModuleNotFoundError("No module named 'mmcv._ext'")
    monkeypatch.setattr(doctor_module, '_run_operators', broken)
    check = next(check for check in run_checks(write_table([{}]))
                 if check.name == 'mmcv operators')
    assert check.state == 'FAIL'
    assert '--no-build-isolation' in check.cure


def test_the_doctors_exit_code_tells(monkeypatch, tmp_path):
    code, out, _ = run_tool('doctor', '--data-root', str(tmp_path))
    assert code == 1
    assert 'cure: ' in out
    monkeypatch.setattr(doctor_module, 'run_checks', lambda root: [Check('x', 'ok', 'y')])
    code, out, _ = run_tool('doctor')
    assert (code, out) == (0, '[ok  ] x: y\neverything is in order\n')

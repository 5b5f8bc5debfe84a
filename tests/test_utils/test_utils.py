"""Errors of tools, and atomic files."""
import os
import pickle
import stat
import subprocess
import sys
import warnings

import pytest
import torch

from mmsart.utils import (
    IncompleteError,
    MissingFileError,
    UserError,
    UserErrors,
    atomic_write,
    check_target,
    check_writable,
    cli_main,
    named,
    raise_all,
)


@pytest.mark.parametrize(('error', 'line'), [
    (UserError('a.csv: row 2:\n bad'), 'error: a.csv: row 2: bad'),
    (MissingFileError('a.csv: no such file'), 'error: a.csv: no such file'),
    (PermissionError(13, 'Permission denied', 'out.csv'), 'error: out.csv: Permission denied'),
    (ImportError('libGL.so.1: cannot open shared object file: No such file or directory'),
     'error: libGL.so.1: cannot open shared object file: No such file or directory, expected the '
     'libraries that OpenCV needs: apt-get install libgl1 libglib2.0-0 (docs/install.md); mmsart '
     'doctor looks at everything'),
])
def test_user_errors_are_one_line_and_code_2(capsys, error, line):
    @cli_main
    def main():
        raise error
    assert main() == 2
    assert capsys.readouterr().err == line + '\n'


def test_several_errors_are_a_line_each(capsys):
    @cli_main
    def main():
        raise_all([UserError('a.png: cut'), MissingFileError('b.png: gone'),
                   UserErrors('c: 1', 'c: 2\nin two')])
    assert main() == 2
    assert capsys.readouterr().err == (
        'error: a.png: cut\nerror: b.png: gone\nerror: c: 1\nerror: c: 2 in two\n')


def test_a_warning_is_a_line_once(capsys):
    before = warnings.showwarning

    @cli_main
    def main():
        with warnings.catch_warnings():
            warnings.simplefilter('always')
            for count in (1, 2, 1):
                warnings.warn(f'a.csv: {count} rows\nleft out', stacklevel=1)
    assert main() == 0
    assert capsys.readouterr().err == (
        'warning: a.csv: 1 rows left out\nwarning: a.csv: 2 rows left out\n')
    assert warnings.showwarning is before


def test_one_error_keeps_its_kind_and_none_is_no_error():
    raise_all([])
    with pytest.raises(MissingFileError, match='gone'):
        raise_all([MissingFileError('gone')])


def test_more_errors_than_anybody_reads_are_counted(capsys):
    @cli_main
    def main():
        raise UserErrors(*(f'row {row}' for row in range(250)))
    assert main() == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 101
    assert lines[-1] == 'error: 150 more problems of 250'


def test_a_batch_with_gaps_has_a_code_of_its_own(capsys):
    @cli_main
    def main():
        error = IncompleteError('b.png: cut')
        error.done = ('a.csv',)
        raise error
    assert main() == 3
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ('a.csv\n', 'error: b.png: cut\n')


def test_blanks_at_the_ends_of_a_name_can_be_seen():
    assert named(['a b', ' a', 'a\tb', '']) == "a b, ' a', 'a\\tb', "


def test_several_errors_survive_another_process():
    error = pickle.loads(pickle.dumps(UserErrors('a', 'b')))
    assert error.problems == ('a', 'b')


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


@pytest.mark.parametrize('error', [
    ValueError('a defect'), OSError('no file named'), KeyError(1), ImportError('no such name')])
def test_defects_keep_their_traceback(error):
    @cli_main
    def main():
        raise error
    with pytest.raises(type(error)):
        main()


@pytest.mark.parametrize(('returned', 'code'), [(None, 0), (0, 0), (1, 1)])
def test_exit_codes_pass(returned, code):
    assert cli_main(lambda: returned)() == code


@pytest.mark.parametrize('umask', [0o022, 0o077])
def test_a_file_appears_when_it_is_whole(tmp_path, monkeypatch, umask):
    target = tmp_path / 'new' / 'a.txt'
    before = os.umask(umask)
    try:
        with monkeypatch.context() as patch:
            patch.delattr(os, 'umask')  # to ask for it would change it for other threads too
            with atomic_write(target) as temporary:
                temporary.write_text('whole')
                assert not target.exists()
                assert temporary.suffix == '.txt'
    finally:
        os.umask(before)
    assert target.read_text() == 'whole'
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


def test_a_link_to_nothing_in_place_of_a_folder_is_called_that(tmp_path):
    (tmp_path / 'link').symlink_to('gone')
    with pytest.raises(UserError, match=r'link: .*found: a symbolic link to gone, which does'):
        check_writable(tmp_path / 'link')


def test_a_folder_in_place_of_a_file_is_named_before_any_work(tmp_path):
    (tmp_path / 'folder').mkdir()
    begun = False
    with (pytest.raises(UserError, match='folder: found a folder, expected the name of a file'),
          atomic_write(tmp_path / 'folder')):
        begun = True
    assert not begun
    assert os.listdir(tmp_path) == ['folder']


@pytest.mark.parametrize('other', ['train.csv', '../{0}/train.csv', 'link.csv', 'out.csv'])
def test_a_command_does_not_replace_what_it_reads_or_else_writes(tmp_path, other):
    (tmp_path / 'train.csv').write_text('id,annotation')
    (tmp_path / 'link.csv').symlink_to('train.csv')
    name = 'out.csv' if other == 'out.csv' else 'train.csv'  # the one is still to be written
    others = [None, tmp_path / 'else.csv', tmp_path / other.format(tmp_path.name)]
    with pytest.raises(UserError, match=(
            rf'/{name}: found .*\.csv, which the same command reads or writes, expected another')):
        check_target(tmp_path / name, '.csv', others)
    check_target(tmp_path / 'free.csv', '.csv', others)


@pytest.mark.parametrize(('name', 'good'), [
    ('a.json', True), ('A.JSON', True), ('config.py', False), ('json', False)])
def test_a_target_has_the_ending_of_what_is_written(tmp_path, name, good):
    if good:
        check_target(tmp_path / name, '.json')
        return
    with pytest.raises(UserError, match=rf'{name}: expected the name of a file .*ending in \.json'):
        check_target(tmp_path / name, '.json')


def test_a_pipe_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    with (pytest.raises(UserError, match='pipe: found a pipe, expected the name of a file'),
          atomic_write(tmp_path / 'pipe')):
        pass
    assert (tmp_path / 'pipe').is_fifo()


FULL = 'error: No space left on device, expected room for what is written or printed\n'
PRINTING = '''
from mmsart.utils import cli_main

@cli_main
def main():
    print('\\u00e4' + 10_000 * ' of cells')
    return 3

raise SystemExit(main())
'''


@pytest.mark.parametrize('buffered', [True, False])
@pytest.mark.parametrize(('target', 'code', 'error'), [
    ('kept', 3, ''), ('/dev/full', 2, FULL),
    ('pipe', 141, '')])
def test_an_output_that_takes_no_more_is_no_defect(tmp_path, target, code, error, buffered):
    if target == 'pipe':
        read, write = os.pipe()
        os.close(read)  # who read has gone
    else:
        write = os.open(tmp_path / target, os.O_WRONLY | os.O_CREAT)
    with os.fdopen(write, 'wb') as output:
        done = subprocess.run(
            [sys.executable, '-c', PRINTING], stdout=output, stderr=subprocess.PIPE, text=True,
            check=False, env=os.environ | {
                'PYTHONIOENCODING': 'ascii', 'PYTHONUNBUFFERED': '' if buffered else '1'})
    assert (done.returncode, done.stderr) == (code, error)
    if target == 'kept':
        assert (tmp_path / 'kept').read_text().startswith('\\xe4 of cells')

"""A lock on a folder: one process at a time, and nothing left behind by a killed one."""
import contextlib
import errno
import fcntl
import os
import signal

import pytest

from mmsart.utils import UserError
from mmsart.utils.locks import NAME, locked


@contextlib.contextmanager
def holding(folder, child_survives=False):
    """Hold the folder in another process, which is killed at the end; gives its id."""
    reader, writer = os.pipe()
    end, open_until_the_end = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(open_until_the_end)
        with locked(folder, 'training'):
            if child_survives and not os.fork():  # as a loader's worker does, for seconds
                os.write(writer, b'.')  # it lives, and has let go of what its parent holds
                os.read(end, 1)
                os._exit(0)
            if not child_survives:
                os.write(writer, b'.')
            signal.pause()
        os._exit(0)
    os.read(reader, 1)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for descriptor in (reader, writer, end, open_until_the_end):
            os.close(descriptor)


def test_a_second_process_is_refused_and_the_first_named(tmp_path):
    with holding(tmp_path) as pid:
        with pytest.raises(UserError) as refusal, locked(tmp_path, 'training'):
            pass
        assert str(refusal.value).startswith(
            f'{tmp_path}: found another training there (process {pid} on ')
        assert list(tmp_path.iterdir()) == [tmp_path / NAME]


@pytest.mark.parametrize('child_survives', [False, True])
def test_a_killed_process_leaves_no_lock(tmp_path, child_survives):
    with holding(tmp_path, child_survives) as pid:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert (tmp_path / NAME).exists()
        with locked(tmp_path, 'training'):
            pass
        assert not list(tmp_path.iterdir())


def test_an_error_releases_it(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyError), locked(tmp_path, 'training'):
            raise KeyError
    assert not list(tmp_path.iterdir())


def test_two_in_one_process_are_kept_apart_too(tmp_path):
    with (locked(tmp_path, 'training'), pytest.raises(UserError, match='another training'),
          locked(tmp_path, 'training')):
        pass


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    """Between opening the file and locking it, the last holder may end and remove it."""
    flock, removed = fcntl.flock, []

    def remove_first(descriptor, operation):
        if not removed:
            removed.append((tmp_path / NAME).unlink())
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, 'flock', remove_first)
    with locked(tmp_path, 'training'):
        assert (tmp_path / NAME).is_file()
        with pytest.raises(UserError), locked(tmp_path, 'training'):
            pass


def test_without_locks_of_the_file_system_there_is_none(tmp_path, monkeypatch):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, 'No locks available')

    monkeypatch.setattr(fcntl, 'flock', refuse)
    with locked(tmp_path, 'training'), locked(tmp_path, 'training'):
        pass

"""Users who can write neither to their home nor to site-packages."""
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from mmsart.utils import numba_cache

ROOT = Path(__file__).parents[2]
NOBODY = '12345'  # a user without an entry in /etc/passwd, as containers have them


@pytest.fixture
def places(monkeypatch, tmp_path):
    """Return a set of the folders that can be written, empty at first, and no atexit."""
    writable = set()
    monkeypatch.delenv(numba_cache.VARIABLE, raising=False)
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    monkeypatch.setattr(numba_cache.atexit, 'register', lambda *args: None)
    monkeypatch.setattr(numba_cache.os, 'access', lambda path, mode: any(
        Path(path).is_relative_to(folder) for folder in writable))
    (tmp_path / 'home').mkdir()
    return writable


def test_numba_gets_a_private_folder_where_it_would_find_none(places, monkeypatch):
    numba_cache.provide_numba_cache()
    folder = Path(os.environ.pop(numba_cache.VARIABLE))
    assert folder.stat().st_mode & 0o777 == 0o700
    numba_cache._remove(str(folder), os.getpid() + 1)  # a forked process leaves it
    assert folder.is_dir()
    numba_cache._remove(str(folder), os.getpid())
    assert not folder.exists()


@pytest.mark.parametrize('place', ['home', 'cache', 'package'])
def test_numba_keeps_the_place_it_has(place, places, monkeypatch, tmp_path):
    if place == 'cache':
        monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
        (tmp_path / 'cache').mkdir()
    places.add(Path(find_spec('imgaug').origin).parent if place == 'package'
               else tmp_path / place)
    numba_cache.provide_numba_cache()
    assert numba_cache.VARIABLE not in os.environ


def test_a_folder_that_the_user_names_stays(places, monkeypatch):
    monkeypatch.setenv(numba_cache.VARIABLE, '/some/where')
    numba_cache.provide_numba_cache()
    assert os.environ[numba_cache.VARIABLE] == '/some/where'


def test_a_home_that_is_a_file_is_no_place(places, monkeypatch, tmp_path):
    (tmp_path / 'file').write_text('')
    places.add(tmp_path)
    monkeypatch.setenv('HOME', str(tmp_path / 'file'))
    numba_cache.provide_numba_cache()
    assert Path(os.environ.pop(numba_cache.VARIABLE)).is_dir()


def test_all_that_a_training_imports_loads_for_a_user_without_a_home():
    command = ['setpriv', '--reuid', NOBODY, '--regid', NOBODY, '--clear-groups', sys.executable]
    readable = f'open({str(ROOT / "mmsart/__init__.py")!r})'
    if os.geteuid() or not shutil.which('setpriv') or subprocess.call([*command, '-c', readable]):
        pytest.skip('needs root, setpriv, and an interpreter and sources that all users can read')
    environment = {key: value for key, value in os.environ.items() if key != numba_cache.VARIABLE}
    result = subprocess.run(
        [*command, '-B', '-c', 'import mmsart.registration, numba.core.config as config; '
         'print(config.CACHE_DIR)'],
        cwd='/', capture_output=True, text=True, timeout=600,
        env={**environment, 'HOME': '/', 'PYTHONPATH': str(ROOT)})
    assert result.returncode == 0, result.stderr
    folder = Path(result.stdout.split()[-1])
    assert folder.name.startswith('numba-')
    assert not folder.exists()  # it goes with the process

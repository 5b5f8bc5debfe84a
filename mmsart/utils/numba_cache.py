"""A cache for numba where neither its package nor the user's home can be written."""
import atexit
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = 'NUMBA_CACHE_DIR'


def provide_numba_cache() -> None:
    """Provide numba with a folder of its own if it would find none.

    mmdet imports imgaug, which declares functions to be cached; numba refuses that where it can
    write neither beside imgaug nor in the user's home, as in many containers and shared
    installations. Nothing of it is compiled in a run, so the folder stays empty and goes with the
    process. It is private: a cache that others can write to would run their code.
    """
    if VARIABLE in os.environ or _finds_a_place():
        return
    try:
        folder = tempfile.mkdtemp(prefix='numba-')
    except OSError:  # numba's own message names what it needs
        return
    os.environ[VARIABLE] = folder
    atexit.register(_remove, folder, os.getpid())


def _finds_a_place() -> bool:
    """Return whether numba can write in one of the two places it looks at by itself."""
    found = importlib.util.find_spec('imgaug')
    if found is None or found.origin is None:
        return True
    beside = Path(found.origin).parent / 'augmenters' / '__pycache__'
    home = Path(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')) / 'numba'
    return _can_be_made(beside) or _can_be_made(home)


def _can_be_made(folder: Path) -> bool:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # a forked process has the same list of things to do at its end
        shutil.rmtree(folder, ignore_errors=True)

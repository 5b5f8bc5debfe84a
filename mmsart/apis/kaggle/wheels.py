"""Installed packages as wheels again, for a machine that reaches no registry."""
from __future__ import annotations

import fnmatch
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from mmsart.utils import UserError

COMPILED = ('.so', '.pyd', '.dylib', '.dll')
OF_THE_INSTALLATION = ('RECORD', 'INSTALLER', 'REQUESTED', 'direct_url.json', 'WHEEL')
"""Files of a .dist-info folder that say how a package came here, not what it is."""
WHEEL = 'Wheel-Version: 1.0\nGenerator: mmsart\nRoot-Is-Purelib: true\nTag: py3-none-any\n'
SOURCES = ('mmsart', 'configs', 'pyproject.toml', 'README.md', 'LICENSE')
"""What of the source tree makes up the package."""


def pack_wheel(name: str, folder: Path, leave_out: Sequence[str] = ()) -> Path:
    """Make a wheel for any Python 3 of a package as it is installed here.

    The other machine then runs the very version that was tried here, and nothing is downloaded.

    Args:
        name: of the distribution.
        folder: where to write.
        leave_out: patterns of files, relative to site-packages, that the wheel is to lack.

    Returns:
        The wheel.

    Raises:
        UserError: it is not installed, has compiled files, or lies elsewhere and is only linked.
    """
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise UserError(f'{name}: found no such package in this environment, expected it '
                        'installed, as the bundle holds it') from None
    origin = json.loads(distribution.read_text('direct_url.json') or '{}')
    if origin.get('dir_info', {}).get('editable'):
        raise UserError(f'{name}: found an editable installation, expected an ordinary one: the '
                        'bundle holds the files in it')
    with tempfile.TemporaryDirectory() as temporary:
        for file in distribution.files or ():
            path = str(file)
            if path.startswith('..') or '__pycache__' in file.parts or any(
                    fnmatch.fnmatch(path, pattern) for pattern in leave_out):
                continue
            if file.suffix in COMPILED:
                raise UserError(f'{name}: found the compiled file {path}, expected a package of '
                                'Python alone, as compiled ones fit one version of Python')
            if file.parts[0].endswith('.dist-info') and file.name in OF_THE_INSTALLATION:
                continue
            target = Path(temporary, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(distribution.locate_file(file)), target)
        info, = Path(temporary).glob('*.dist-info')
        (info / 'WHEEL').write_text(WHEEL)
        return _run('wheel', 'pack', temporary, '--dest-dir', folder, into=folder)


def build_own_wheel(folder: Path) -> Path:
    """Make the wheel of mmsart itself, from its source tree or as it is installed.

    Args:
        folder: where to write.

    Returns:
        The wheel.

    Raises:
        UserError: pip cannot build it.
    """
    root = Path(__file__).parents[3]
    if not (root / 'pyproject.toml').is_file():
        return pack_wheel('mmsart', folder)
    with tempfile.TemporaryDirectory() as temporary:
        for name in SOURCES:  # a build leaves files behind
            source, target = root / name, Path(temporary, name)
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True,
                                ignore=shutil.ignore_patterns('__pycache__'))
            else:
                shutil.copyfile(source, target)
        return _run('pip', 'wheel', '--quiet', '--no-deps', '--no-index', '--no-build-isolation',
                    '--wheel-dir', folder, temporary, into=folder)


def _run(module: str, *arguments: str | Path, into: Path) -> Path:
    """Run a module of Python that writes a wheel, and return the wheel."""
    before = set(into.glob('*.whl'))
    done = subprocess.run([sys.executable, '-m', module, *map(str, arguments)], check=False,
                          capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise UserError(f'python -m {module} {arguments[0]}: {"".join(last)}; expected it to '
                        'write a wheel (it needs the packages setuptools and wheel)')
    wheel, = set(into.glob('*.whl')) - before
    return wheel

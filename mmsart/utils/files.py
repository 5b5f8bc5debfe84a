"""Writing files so that a reader never meets half of one."""
import json
import os
import secrets
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmsart.utils.errors import UserError, kind_of, missing


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[Path]:
    """Provide a temporary path beside `path` that replaces it when the block succeeds.

    Missing parent folders are made. If the block raises, `path` is left as it was.

    Args:
        path: the file to write.

    Yields:
        The temporary path, with the same suffix as `path`.

    Raises:
        UserError: `path` is a folder, or its own folder cannot be written.

    Example:
        >>> with atomic_write('scores.csv') as temporary:
        ...     _ = temporary.write_text('id,score')
    """
    check_target(path)
    target = Path(path)
    temporary = _make_beside(target)
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _make_beside(target: Path) -> Path:
    """Make an empty file of a new name, readable by whom the user's umask admits.

    The files of :mod:`tempfile` are private, and what the umask is can only be asked by changing
    it, for other threads too.
    """
    while True:
        path = target.with_name(f'.{target.stem}-{secrets.token_hex(4)}{target.suffix}')
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            continue
        return path


def check_target(path: str | os.PathLike, ending: str = '',
                 others: Iterable[str | os.PathLike | None] = ()) -> None:
    """Refuse a file that cannot be written, before the work whose result it is to hold.

    Args:
        path: the file.
        ending: that its name has to have, such as ``.json``, in small letters or capitals.
        others: files that the same command reads or writes, which it must not replace; None stands
            for none.

    Raises:
        UserError: it is no file, such as a folder or a pipe, has another ending, is one of
            `others`, or its own folder cannot be written.
    """
    check_apart(path, others)
    kind = kind_of(path)
    if kind not in (None, 'file'):  # it would be replaced
        raise UserError(f'{path}: found a {kind}, expected the name of a file to write')
    if not os.fspath(path).lower().endswith(ending):
        raise UserError(f'{path}: expected the name of a file to write, ending in {ending}')
    check_writable(Path(path).parent)


def check_apart(path: str | os.PathLike, others: Iterable[str | os.PathLike | None],
                kind: str = 'file') -> None:
    """Refuse a file or folder to write that the same command reads or writes under another name.

    Args:
        path: what is to be written.
        others: what must stay; None stands for nothing.
        kind: ``'file'`` or ``'folder'``.

    Raises:
        UserError: the path leads to one of the others.
    """
    for other in others:
        if other is not None and _is_same(path, other):
            raise UserError(f'{path}: found {other}, which the same command reads or writes, '
                            f'expected another {kind} to write')


def _is_same(path: str | os.PathLike, other: str | os.PathLike) -> bool:
    """Return whether two paths lead to one place, which need not exist."""
    try:
        return os.path.samefile(path, other)
    except OSError:
        return os.path.realpath(path) == os.path.realpath(other)


def check_writable(folder: str | os.PathLike, mode: int = 0o777) -> Path:
    """Make a folder if it is missing and check that files can be made in it.

    Args:
        folder: the folder.
        mode: who may use one that is made, less what the umask takes.

    Returns:
        The folder as a path.

    Raises:
        UserError: it cannot be made, is no folder, or does not admit new files.
    """
    folder = Path(folder)
    try:
        folder.mkdir(mode, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        kind = kind_of(folder)
        found = error.strerror if kind in (None, 'folder') else f'a {kind}'
        if kind is None and folder.is_symlink():
            found = f'a symbolic link to {os.readlink(folder)}, which does not exist'
        raise UserError(
            f'{folder}: expected a folder that can be written, found: {found}') from error
    return folder


def read_json(path: str | os.PathLike, expected: str) -> Any:
    """Read a JSON file that a user may have named or changed.

    Args:
        path: the file, in any encoding of Unicode, with or without a byte-order mark.
        expected: what it should hold, for the message.

    Returns:
        Its content.

    Raises:
        MissingFileError: there is no such file.
        UserError: it is no JSON, or names a key twice, of which one would count.
    """
    path = Path(path)
    if not path.is_file():
        raise missing(path, expected)
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=_as_dict)
    except UserError as error:
        raise UserError(f'{path}: {error}') from error
    except (ValueError, RecursionError) as error:
        raise UserError(f'{path}: expected JSON, found: {error}') from error


def _as_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise UserError(f'{twice}: found it twice, expected it once')
    return found


def readable(name: str) -> str:
    """Write a file's name as text that can be printed and saved.

    Args:
        name: as Python gives it; bytes that are no UTF-8, from older disks, are surrogates there.

    Returns:
        The name with these bytes as the characters that they are in Latin-1.
    """
    return ''.join(chr(ord(each) - 0xDC00) if '\udc80' <= each <= '\udcff' else each
                   for each in name)

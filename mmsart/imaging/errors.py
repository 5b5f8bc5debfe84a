"""One line for whatever a reader raises over a file."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmsart.utils.errors import UserError


@contextmanager
def reading(path: str, kind: str) -> Iterator[None]:
    """Turn the errors of a format's library over a broken file into `UserError`.

    The libraries raise errors of a dozen kinds over damaged files, `IndexError` and
    `struct.error` among them.

    Args:
        path: the file.
        kind: the format that was expected.

    Raises:
        UserError: something else was raised than a file that is missing or may not be read.
    """
    try:
        yield
    except (UserError, FileNotFoundError, PermissionError, MemoryError):
        raise
    except Exception as error:
        said = ' '.join(f'{type(error).__name__}: {error}'.split())[:200]
        raise UserError(f'{path}: cannot be read, expected a whole {kind} file ({said})') from error


def missing_reader(path: str, package: str, extra: str) -> UserError:
    """Make the error of a format whose library is not installed."""
    return UserError(f'{path}: {extra.upper()} files need the package {package}, expected it after '
                     f"pip install 'mmsart[{extra}]'")

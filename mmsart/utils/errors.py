"""Errors that a user can cause and mend."""
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """Bad input; the message is one line with place, what was found and what was expected."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that the user named does not exist."""


@contextmanager
def as_user_error(place: str) -> Iterator[None]:
    """Turn whatever building something from a config raises into a :class:`UserError`.

    Args:
        place: the file and key, which the message begins with.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f'{place}: {type(error).__name__}: {error}') from error

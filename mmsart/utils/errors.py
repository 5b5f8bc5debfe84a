"""Errors that a user can cause and fix."""
import difflib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

LONGEST_NAME = 80  # characters; the ids of images are shorter
LONGEST_VALUE = 40

KINDS = {stat.S_IFDIR: 'folder', stat.S_IFREG: 'file', stat.S_IFIFO: 'pipe',
         stat.S_IFSOCK: 'socket', stat.S_IFCHR: 'device', stat.S_IFBLK: 'device'}
"""What a path may lead to, by the type that the file system gives it."""


class UserError(ValueError):
    """Bad input; the message is one line with place, what was found and what was expected.

    Attributes:
        exit_code: what a command-line tool exits with.
    """

    exit_code = 2

    @property
    def problems(self) -> tuple[str, ...]:
        """The messages, each to be printed in a line of its own."""
        return (str(self),)


class UserErrors(UserError):
    """Several faults of the input at once, each in a line of its own.

    Args:
        *problems: one message each, as of a `UserError`.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__('\n'.join(problems))
        self._problems = problems

    @property
    def problems(self) -> tuple[str, ...]:
        """The messages as given."""
        return self._problems

    def __reduce__(self) -> tuple:  # a process that hands it on would join the messages
        return type(self), self._problems


class IncompleteError(UserErrors):
    """A batch is done but for the inputs that the messages name.

    Attributes:
        done: lines about what was done.
    """

    exit_code = 3
    done: tuple[str, ...] = ()


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that the user named does not exist."""


class UnforeseenError(UserError):
    """A defect that showed on one of many images, whose fault it need not be: the others go on.

    Args:
        place: the image.
        cause: what was raised; it becomes ``__cause__`` and keeps its traceback.
    """

    def __init__(self, place: str, cause: Exception) -> None:
        super().__init__(f'{place}: found an unforeseen {type(cause).__name__}: {cause}')
        self.__cause__ = cause


class RunStopped(KeyboardInterrupt):
    """A run has ended early because somebody asked it to; the message says how to go on.

    Args:
        message: one line.
        signum: the signal that asked.

    Attributes:
        exit_code: what shells report of a process that a signal has ended.
    """

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signum


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
    except (Exception, SystemExit) as error:
        raise UserError(f'{place}: {type(error).__name__}: {error}') from error


def missing(path: str | os.PathLike, expected: str, kind: str = 'file') -> MissingFileError:
    """Make the error of a file or folder that is not there.

    Args:
        path: what the user named.
        expected: what it should be.
        kind: ``'file'``, ``'folder'`` or ``'file or folder'``.

    Returns:
        The error; it says what is there in its place, such as a folder or a pipe, whether it may
        not be looked at, and where a broken symbolic link leads.
    """
    try:
        if found := kind_of(path):
            return MissingFileError(f'{path}: found a {found}, expected {expected}')
    except PermissionError as error:
        return MissingFileError(f'{path}: {error.strerror}, expected {expected}')
    if os.path.islink(path):
        target = os.readlink(os.fspath(path))
        return MissingFileError(
            f'{path}: a symbolic link to {target}, which does not exist, expected {expected}')
    return MissingFileError(f'{path}: no such {kind}, expected {expected}')


def kind_of(path: str | os.PathLike) -> str | None:
    """Tell what a path leads to, without opening it: a pipe would wait for its other end.

    Args:
        path: of anything.

    Returns:
        One of :data:`KINDS`; None where nothing is there.

    Raises:
        PermissionError: the folder may not be looked into.
    """
    try:
        return KINDS.get(stat.S_IFMT(os.stat(path).st_mode))
    except PermissionError:
        raise
    except (OSError, ValueError):
        return None


def shown(value: object) -> str:
    """Write what was found in bad input, so that it fits a message.

    Args:
        value: what was found.

    Returns:
        Its ``repr``, which keeps line breaks and what cannot be seen apart from the message; the
        begin of one that is long.
    """
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f'{text[:LONGEST_VALUE - 3]}...'


def named(texts: Iterable[str]) -> str:
    """List names that were found, plainly where they can be seen.

    Args:
        texts: the names.

    Returns:
        Them, with commas between; what is long, cannot be printed or has blanks at its ends as
        :func:`shown` writes it.
    """
    return ', '.join(
        text if text.isprintable() and len(text) <= LONGEST_NAME and text == text.strip()
        else shown(text) for text in texts)


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """Guess which name a mistyped one is for.

    Args:
        found: the name that nothing has.
        known: those that there are.

    Returns:
        The end of a message, such as `` (did you mean train?)``; empty where none is like it.
    """
    close = difflib.get_close_matches(found, list(known), 1)
    return f' (did you mean {close[0]}?)' if close else ''


def raise_all(errors: Sequence[UserError]) -> None:
    """Raise everything that was found wrong, so that one run names it all.

    Args:
        errors: what was found; nothing is raised where it is empty.

    Raises:
        UserError: the only error, or one that holds the messages of all.
    """
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise UserErrors(*(problem for error in errors for problem in error.problems))

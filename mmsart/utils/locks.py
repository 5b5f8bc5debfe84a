"""A lock on a folder that ends with the process that holds it, however it ends."""
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmsart.utils.errors import UserError

NAME = '.lock'
UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_held: set[int] = set()


@contextmanager
def locked(folder: str | os.PathLike, who: str) -> Iterator[None]:
    """Hold a folder for one process at a time.

    The lock is the kernel's (`flock`), so a process that is killed leaves none behind; its file
    ``.lock`` says nothing by being there. Where the file system has no locks, there is none.

    Args:
        folder: it exists.
        who: what the lock keeps apart, such as 'training', for the message.

    Raises:
        UserError: another process holds it.
    """
    path = Path(folder) / NAME
    descriptor = _take(path, who)
    _held.add(descriptor)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f'process {os.getpid()} on {socket.gethostname()}'.encode())
        yield
    finally:
        path.unlink(missing_ok=True)  # while the lock is held: nobody else can have taken it
        _held.discard(descriptor)
        os.close(descriptor)


def _take(path: Path, who: str) -> int:
    """Open and lock the file; return its descriptor."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in UNSUPPORTED:
                return descriptor
            holder = os.read(descriptor, 200).decode(errors='replace') or 'another process'
            os.close(descriptor)
            if not isinstance(error, BlockingIOError):
                raise
            raise UserError(f'{path.parent}: found another {who} there ({holder}), expected a '
                            'folder that none writes to') from error
        try:
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)  # its last holder has removed it meanwhile


def _close_in_child() -> None:
    """Let go of the locks: a loader's worker may outlive its process by seconds."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_close_in_child)

"""A disk without room, as far as a process can make one for itself."""
import contextlib
import resource


@contextlib.contextmanager
def largest_file(size):
    """Let no file grow beyond `size` bytes: writing on raises OSError, "File too large"."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

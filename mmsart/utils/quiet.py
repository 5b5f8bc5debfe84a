"""Less on the console."""
import contextlib
import io
import os
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Suppress what libraries print when they are imported.

    mmdet prints and warns about optional packages that nothing here needs; a user who asks for
    cells would look for what is wrong.
    """
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield


def import_mmdet() -> None:
    """Import, without a word, what of mmdet prints and warns when it is imported."""
    with quiet_imports():
        import mmdet.datasets
        import mmdet.evaluation  # noqa: F401


@contextlib.contextmanager
def quiet_children() -> Iterator[None]:
    """Suppress what this process and those that it starts write to the standard error stream.

    mmengine asks the compiler for its version by way of a shell, which complains where there is
    none; a user who needs no compiler would look for what is wrong.
    """
    try:
        kept = os.dup(2)
    except OSError:  # closed, as some daemons have it
        yield
        return
    with open(os.devnull, 'wb') as sink:
        os.dup2(sink.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)

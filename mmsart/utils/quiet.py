"""Imports without console output."""
import contextlib
import io
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

"""mmcv's operators in Python, for an mmcv that was installed without compiling any."""
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

EXTENSION = 'mmcv._ext'
STAND_IN = str(Path(__file__).with_name('stand_in.py'))
COMPILE_MMCV = ('pip install ninja psutil setuptools wheel && pip install --no-build-isolation '
                '--no-cache-dir --no-deps --force-reinstall onedl-mmcv==2.3.6')


class PythonOperatorsFinder:
    """Finds :mod:`mmsart.ops.stand_in` in place of ``mmcv._ext``, where nobody else finds one."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None,
                  target: ModuleType | None = None) -> ModuleSpec | None:
        """Answer for ``mmcv._ext`` alone; the arguments are those of any finder."""
        return importlib.util.spec_from_file_location(name, STAND_IN) if name == EXTENSION else None


def offer_python_operators() -> None:
    """Let ``mmcv.ops`` import with operators in Python where it has no compiled ones.

    The finder goes to the end of `sys.meta_path`, so a compiled extension always wins. mmdet
    imports ``mmcv.ops`` under ``except ImportError`` and keeps its own substitutes, which only
    raise, as long as the process lives; so the finder has to be there before.

    Raises:
        ImportError: mmdet has been imported without any operators.
    """
    if PythonOperatorsFinder in sys.meta_path:
        return
    if 'mmdet.structures.mask.structures' in sys.modules and EXTENSION not in sys.modules:
        raise ImportError('mmdet was imported before mmsart and has found no operators of mmcv; '
                          'import mmsart first')
    sys.meta_path.append(PythonOperatorsFinder)


def are_compiled() -> bool:
    """Return whether mmcv's own operators are in use, rather than those in Python."""
    spec = importlib.util.find_spec(EXTENSION)
    return spec is not None and spec.origin != STAND_IN

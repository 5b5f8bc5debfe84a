"""Reading checkpoint files without running what is in them."""
import pickle
import re
import zipfile
from argparse import Namespace
from collections import OrderedDict
from os import PathLike
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace
from typing import Any

import numpy as np
import safetensors.torch
import torch
from mmengine.logging import HistoryBuffer

from mmsart.utils import UserError, missing

HISTORY_METHODS = ('min', 'max', 'current', 'mean')
NUMBER = re.compile(r'[<>=|]?(b1|[iu][1248]|f[248])')  # of dtypes that files of weights hold


def _history_method(owner: Any, name: str) -> Any:
    """Stand in for `getattr`, which mmengine's log history is pickled with, and do no more."""
    if owner is not HistoryBuffer or name not in HISTORY_METHODS:
        raise pickle.UnpicklingError('Unsupported global: GLOBAL builtins.getattr')
    return getattr(owner, name)


def _latin1(text: str, encoding: str = 'latin1') -> bytes:
    """Stand in for `_codecs.encode`, which Python 3 pickles the bytes of Python 2 with."""
    return text.encode('latin1')


def _no_bytes() -> bytes:
    """Stand in for `bytes`, which protocol 2 pickles empty ones with."""
    return b''


class SafeArray(np.ndarray):
    """Stand-in for `numpy.ndarray` in a pickle: an array of numbers, filled by its state alone.

    The real one is no safe thing to call: with a buffer and a dtype of objects, NumPy takes bytes
    from the file for addresses. When saved again it is an ordinary array.
    """

    def __new__(cls, *args: Any) -> 'SafeArray':
        """Refuse a call: pickles of arrays make an empty one by `_reconstruct`."""
        raise pickle.UnpicklingError('Unsupported global: GLOBAL numpy.ndarray')

    def __setstate__(self, state: tuple) -> None:  # type: ignore[override]
        """Take shape, dtype, order and bytes, as a pickled array has them."""
        _, shape, dtype, fortran, content = state
        if isinstance(content, str):  # of Python 2
            content = content.encode('latin1')
        if not isinstance(dtype, SafeDtype) or not isinstance(content, bytes):
            raise pickle.UnpicklingError('an array that does not hold plain numbers')
        # numpy 2.3 takes no bool of its own here, which is what its annotations ask for.
        super().__setstate__(
            (1, shape, dtype.dtype, bool(fortran), content))  # type: ignore[arg-type]

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle as an ordinary array."""
        return self.view(np.ndarray).__reduce_ex__(protocol)


class SafeDtype:
    """Stand-in for `numpy.dtype` in a pickle: a number's, and nothing else.

    Args:
        name: such as ``f4``.
        align: without use for numbers.
        copy: likewise.
    """

    def __init__(self, name: str, align: bool = False, copy: bool = False) -> None:
        if not isinstance(name, str) or not NUMBER.fullmatch(name):
            raise pickle.UnpicklingError(f'a dtype {name!r} that is not a number\'s')
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple) -> None:
        """Take the order of bytes; the rest of the state is for other kinds of dtypes."""
        if state[1] not in ('<', '>', '=', '|'):
            raise pickle.UnpicklingError(f'an order of bytes {state[1]!r}')
        self.dtype = self.dtype.newbyteorder(state[1])


def _reconstruct(kind: Any, shape: Any, typecode: Any) -> SafeArray:
    """Stand in for NumPy's function of that name: make an array that its state will fill."""
    if kind is not SafeArray:
        raise pickle.UnpicklingError('Unsupported global: GLOBAL numpy._reconstruct')
    return np.ndarray.__new__(SafeArray, (0,), 'b')


def _frombuffer(content: Any, dtype: Any, shape: tuple[int, ...], order: str,
                axes: tuple[int, ...] | None = None) -> np.ndarray:
    """Stand in for NumPy's function of that name, which protocol 5 pickles arrays with."""
    if not isinstance(dtype, SafeDtype) or not isinstance(content, bytes | bytearray):
        raise pickle.UnpicklingError('an array that does not hold plain numbers')
    numbers = np.frombuffer(content, dtype.dtype)
    if order == 'K' and axes is not None:  # another order of axes in memory than C's or Fortran's
        return numbers.reshape(shape).transpose(axes)
    return numbers.reshape(shape, order='F' if order == 'F' else 'C')


def _scalar(dtype: Any, content: Any) -> np.generic:
    """Stand in for NumPy's `scalar`."""
    if isinstance(content, str):
        content = content.encode('latin1')
    if not isinstance(dtype, SafeDtype) or not isinstance(content, bytes) \
            or len(content) != dtype.dtype.itemsize:
        raise pickle.UnpicklingError('a NumPy scalar that is not a plain number')
    return np.frombuffer(content, dtype.dtype)[0]


class LeftOut:
    """Stand-in for a class of settings, which programs save beside weights: an empty dictionary.

    Neither the class is imported nor are its settings kept.
    """

    def __new__(cls, *args: Any) -> OrderedDict:  # type: ignore[misc]
        """Return what both unpicklers fill with items and attributes and do no more with."""
        return OrderedDict()


# Records of numbers and text, by name. Python 3.13 moved paths to a module of their own.
SETTINGS = {
    ('argparse', 'Namespace'): Namespace, ('types', 'SimpleNamespace'): SimpleNamespace,
    **{(module, f'{kind}{name}'): function for module in ('pathlib', 'pathlib._local')
       for name, function in (('PosixPath', PurePosixPath), ('WindowsPath', PureWindowsPath))
       for kind in ('', 'Pure')},
    **{('datetime', name): LeftOut for name in ('date', 'datetime', 'time', 'timedelta',
                                                'timezone')},
    ('collections', 'defaultdict'): LeftOut,
    **{(module, name): LeftOut for module in ('builtins', '__builtin__')  # what a defaultdict makes
       for name in ('bool', 'dict', 'float', 'frozenset', 'int', 'list', 'str', 'tuple')}}
# Libraries whose classes in a checkpoint are settings or a schedule's state.
SETTINGS_LIBRARIES = (
    'addict.', 'box.', 'detectron2.config.', 'easydict.', 'fvcore.common.config.', 'lightning.',
    'lightning_fabric.', 'lightning_utilities.', 'ml_collections.', 'mmcv.utils.config.',
    'mmengine.config.', 'munch.', 'omegaconf.', 'pytorch_lightning.', 'torch.optim.', 'yacs.')

STAND_INS = {
    **SETTINGS,
    ('__builtin__', 'bytes'): _no_bytes, ('builtins', 'bytes'): _no_bytes,
    ('numpy', 'ndarray'): SafeArray, ('numpy', 'dtype'): SafeDtype,
    **{(f'numpy.{core}.multiarray', name): function for core in ('core', '_core')
       for name, function in (('_reconstruct', _reconstruct), ('scalar', _scalar))},
    **{(f'numpy.{core}.numeric', '_frombuffer'): _frombuffer for core in ('core', '_core')}}

# All that the files of this project's runs hold beside tensors.
TORCH_GLOBALS = [
    HistoryBuffer, slice, (_history_method, 'builtins.getattr'),
    *((stand_in, '.'.join(name)) for name, stand_in in STAND_INS.items())]

PICKLE_GLOBALS = {
    ('collections', 'OrderedDict'): OrderedDict, ('_codecs', 'encode'): _latin1, **STAND_INS}


class ArrayUnpickler(pickle.Unpickler):
    """Unpickler for plain containers of NumPy arrays; any other global is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Look a name up in the short list instead of importing it."""
        if f'{module}.'.startswith(SETTINGS_LIBRARIES):
            return LeftOut
        try:
            return PICKLE_GLOBALS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f'Unsupported global: GLOBAL {module}.{name}') from None


def read_checkpoint(path: str | PathLike, map_location: Any = 'cpu') -> dict[str, Any]:
    """Read a checkpoint file of any of the supported libraries, running none of its code.

    Files of `torch.save` are read with ``weights_only``; other files must be pickles of NumPy
    arrays, as Detectron2's model zoo has them, or safetensors. Settings that programs save beside
    weights, such as the arguments of torchvision's training script, come back as plain records or
    empty.

    Args:
        path: the file.
        map_location: device of the tensors, as `torch.load` takes it.

    Returns:
        The dictionary in the file.

    Raises:
        MissingFileError: there is no such file.
        UserError: it is damaged, holds no dictionary, or wants to run code.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise missing(path, 'a checkpoint')
    try:
        if path.suffix == '.safetensors':
            return safetensors.torch.load(path.read_bytes())
        if path.suffix == '.pkl' and not zipfile.is_zipfile(path):
            with path.open('rb') as file:
                content = ArrayUnpickler(file, encoding='latin1').load()
        else:
            with torch.serialization.safe_globals(TORCH_GLOBALS + _settings_classes(path)):
                content = torch.load(path, map_location=map_location, weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged or hostile file can raise anything
        raise UserError(f'{path}: {_why_refused(error)}') from None
    if not isinstance(content, dict):
        raise UserError(
            f'{path}: expected a dictionary of weights, found {type(content).__name__}')
    return content


def _settings_classes(path: Path) -> list[tuple[Any, str]]:
    """Return a stand-in for each class of :data:`SETTINGS_LIBRARIES` that a file names."""
    if not zipfile.is_zipfile(path):  # torch cannot list the names in its format before 1.6
        return []
    return [(LeftOut, name) for name in torch.serialization.get_unsafe_globals_in_checkpoint(path)
            if name.startswith(SETTINGS_LIBRARIES)]


def _why_refused(error: Exception) -> str:
    """Tell a hostile file from a damaged one, without torch's advice to load it all the same."""
    wanted = re.search(r'GLOBAL ([\w.]+)', str(error))
    if wanted:
        return f'expected nothing but weights, found a call of {wanted[1]}; it was not run'
    own_words = re.search(r'WeightsUnpickler error: ([^\n]*)', str(error))
    first = (own_words[1] if own_words else str(error).strip().split('\n')[0]).strip()
    # A reason cut in two, or a bare number such as a KeyError's, tells less than its kind.
    if not re.search('[A-Za-z]', first) or len(first) > 200:
        first = type(error).__name__
    return f'expected a checkpoint, found a file that cannot be read ({first})'

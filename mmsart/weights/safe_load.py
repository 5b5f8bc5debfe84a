"""Reading checkpoint files without running what is in them."""
import pickle
import re
import zipfile
from collections import OrderedDict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from numpy._core.multiarray import _reconstruct, scalar

from mmsart.utils import MissingFileError, UserError

HISTORY_METHODS = ('min', 'max', 'current', 'mean')
NUMPY_DTYPES = tuple(
    type(np.dtype(kind))
    for kind in ('bool', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'f2', 'f4', 'f8'))


def _history_method(owner: Any, name: str) -> Any:
    """Stand in for `getattr`, which mmengine's log history is pickled with, and do no more."""
    if owner is not HistoryBuffer or name not in HISTORY_METHODS:
        raise pickle.UnpicklingError('Unsupported global: GLOBAL builtins.getattr')
    return getattr(owner, name)


def _latin1(text: str, encoding: str = 'latin1') -> bytes:
    """Stand in for `_codecs.encode`, which Python 3 pickles the bytes of Python 2 with."""
    return text.encode('latin1')


# All that the files of this project's runs hold beside tensors.
TORCH_GLOBALS = [
    HistoryBuffer, slice, np.ndarray, np.dtype, *NUMPY_DTYPES,
    *((function, f'numpy.{core}.multiarray.{function.__name__}')
      for core in ('core', '_core') for function in (_reconstruct, scalar)),
    (_history_method, 'builtins.getattr')]

NUMPY_GLOBALS = {
    ('collections', 'OrderedDict'): OrderedDict, ('_codecs', 'encode'): _latin1,
    ('numpy', 'ndarray'): np.ndarray, ('numpy', 'dtype'): np.dtype,
    **{(f'numpy.{core}.multiarray', function.__name__): function
       for core in ('core', '_core') for function in (_reconstruct, scalar)}}


class ArrayUnpickler(pickle.Unpickler):
    """Unpickler for plain containers of NumPy arrays; any other global is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Look a name up in the short list instead of importing it."""
        try:
            return NUMPY_GLOBALS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f'Unsupported global: GLOBAL {module}.{name}') from None


def read_checkpoint(path: str | PathLike, map_location: Any = 'cpu') -> dict[str, Any]:
    """Read a checkpoint file of any of the supported libraries, running none of its code.

    Files of `torch.save` are read with ``weights_only``; other files must be pickles of NumPy
    arrays, as Detectron2's model zoo has them.

    Args:
        path: the file.
        map_location: device of the tensors, as `torch.load` takes it.

    Returns:
        The dictionary in the file, unchanged.

    Raises:
        MissingFileError: there is no such file.
        UserError: it is damaged, holds no dictionary, or wants to run code.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise MissingFileError(f'{path}: expected a checkpoint file, found none')
    try:
        if path.suffix == '.pkl' and not zipfile.is_zipfile(path):
            with path.open('rb') as file:
                content = ArrayUnpickler(file, encoding='latin1').load()
        else:
            with torch.serialization.safe_globals(TORCH_GLOBALS):
                content = torch.load(path, map_location=map_location, weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged or hostile file can raise anything
        raise UserError(f'{path}: {_why_refused(error)}') from None
    if not isinstance(content, dict):
        raise UserError(
            f'{path}: expected a dictionary of weights, found {type(content).__name__}')
    return content


def _why_refused(error: Exception) -> str:
    """Tell a hostile file from a damaged one, without torch's advice to load it all the same."""
    wanted = re.search(r'GLOBAL ([\w.]+)', str(error))
    if wanted:
        return f'expected nothing but weights, found a call of {wanted[1]}; it was not run'
    own_words = re.search(r'WeightsUnpickler error: ([^\n]*)', str(error))
    first = (own_words[1] if own_words else str(error).strip().split('\n')[0]).strip()
    if not first or len(first) > 200:  # a reason cut in two tells less than its kind
        first = type(error).__name__
    return f'expected a checkpoint, found a file that cannot be read ({first})'

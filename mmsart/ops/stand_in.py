"""Stands in for ``mmcv._ext``: what mmcv calls there, by mmcv's names and arguments."""
from collections.abc import Callable
from typing import Any, NoReturn

from mmsart.ops import COMPILE_MMCV
from mmsart.ops.nms import nms, nms_match, softnms
from mmsart.ops.roi_align import roi_align_backward, roi_align_forward

__all__ = ['get_compiler_version', 'get_compiling_cuda_version', 'nms', 'nms_match',
           'roi_align_backward', 'roi_align_forward', 'softnms']


def get_compiler_version() -> str:
    """Say for reports of the environment what compiled the operators."""
    return 'none, operators in Python'


def get_compiling_cuda_version() -> str:
    """Say for reports of the environment which CUDA the operators were compiled for."""
    return 'not available'


def __getattr__(name: str) -> Callable[..., NoReturn]:
    """Return any other operator as a function that raises when it is called.

    mmcv looks all of its operators up when it is imported, whether or not they are ever used.
    """
    if name.startswith('_'):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

    def missing(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(f"mmcv's operator {name} is not compiled here, and mmsart has "
                                  f'none in Python; to compile it: {COMPILE_MMCV}')
    missing.__name__ = missing.__qualname__ = name
    return missing

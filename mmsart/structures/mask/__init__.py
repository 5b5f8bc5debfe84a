"""Mask structures: run-length codes and box-local masks.

`CroppedMasks` and `as_cropped` are loaded when first used, so that tools which only need run-length
codes do not wait for mmdet.
"""
from typing import Any

__all__ = ['CroppedMasks', 'as_cropped']


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from mmsart.structures.mask import cropped_masks

    return getattr(cropped_masks, name)

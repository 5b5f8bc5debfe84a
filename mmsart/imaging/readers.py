"""Which reader a file is for, told by its first bytes."""
from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from mmsart.imaging.czi import CziFile
from mmsart.imaging.lif import LifFile
from mmsart.imaging.nd2 import Nd2File
from mmsart.imaging.normalization import Normalize
from mmsart.imaging.raster import RasterFile
from mmsart.imaging.source import ImageFile, array_source
from mmsart.imaging.stack import ImageStack
from mmsart.imaging.tiff import TiffFile
from mmsart.utils.errors import UserError, missing

SIGNATURES: tuple[tuple[bytes, Callable[[str], ImageFile]], ...] = (
    (b'II*\0', TiffFile), (b'MM\0*', TiffFile), (b'II+\0', TiffFile), (b'MM\0+', TiffFile),
    (b'ZISRAWFILE', CziFile), (b'\xda\xce\xbe\x0a', Nd2File), (b'\x70\0\0\0', LifFile))
"""First bytes of the formats that Pillow is not asked about."""

JPEG_2000 = b'\0\0\0\x0cjP  '
"""First bytes of a picture and, with the ending .nd2, of a microscope's file before 2010."""

IMAGE_SUFFIXES = ('.png', '.tif', '.tiff', '.jpg', '.jpeg', '.bmp', '.webp', '.gif', '.lsm',
                  '.czi', '.nd2', '.lif', '.btf', '.tf2', '.tf8', '.stk', '.svs', '.ndpi', '.scn',
                  '.qptiff')
"""Endings of what is taken for an image in a folder; those of microscopes of which no reader is
named are TIFF inside."""


def open_file(path: str | os.PathLike) -> ImageFile:
    """Open a file by its kind.

    Args:
        path: the file.

    Returns:
        Its images, to be closed by the caller.

    Raises:
        MissingFileError: there is no such file.
        UserError: it cannot be read, or needs a package that is not installed.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise missing(path, 'an image')
    with open(path, 'rb') as file:
        head = file.read(16)
    if not head:
        raise UserError(f'{path}: found an empty file, expected an image')
    if head.startswith(JPEG_2000) and path.lower().endswith('.nd2'):
        return Nd2File(path)
    kinds = (kind for magic, kind in SIGNATURES if head.startswith(magic))
    return next(kinds, RasterFile)(path)


def open_image(
        image: str | os.PathLike | np.ndarray, *, axes: str | None = None,
        channel: int | str | None = None, series: int | None = None, normalize: Normalize = None,
        pixel_size: float | None = None) -> ImageStack:
    """Open an image as frames, whatever microscope it comes from.

    PNG, JPEG, WebP, BMP, GIF, TIFF (OME, ImageJ, LSM; any depth and compression), and with the
    packages of the extras ``czi``, ``nd2`` and ``lif`` these formats.

    Args:
        image: a file, or an array (h, w), (h, w, 1), (h, w, 3) RGB, or with more axes in front.
        axes: what the axes of the file are; see :class:`~mmsart.imaging.stack.ImageStack`.
        channel: number or name of the channel to look at.
        series: number of the image, from 0, where a file holds several.
        normalize: None, ``'none'`` or ``(low, high)``, see
            :data:`~mmsart.imaging.normalization.Normalize`.
        pixel_size: side of a pixel in micrometres.

    Returns:
        The frames; close them, or use them in a ``with`` statement.

    Raises:
        MissingFileError: there is no such file.
        UserError: it cannot be read, or an option is missing that says how; the line names it.

    Example:
        >>> with open_image(np.zeros((4, 64, 64), np.uint16), axes='TYX') as stack:
        ...     print(len(stack), stack.axes, stack[3].image.dtype)
        4 T uint8
    """
    if isinstance(image, np.ndarray):
        _check_array(image, axes)
        if axes is None and image.ndim > 2 and image.shape[-1] == 1:
            image = image[..., 0]  # grey values, as Keras and scikit-image may have them
        return ImageStack(array_source(image), axes, channel, normalize, pixel_size)
    file = open_file(image)
    try:
        return ImageStack(
            file.source(_choose_series(os.fspath(image), file.series, series)), axes, channel,
            normalize, pixel_size)
    except BaseException:
        file.close()
        raise


def count_series(path: str | os.PathLike) -> int:
    """Count the images of a file.

    Args:
        path: the file.

    Returns:
        How many there are.

    Raises:
        UserError: it cannot be read.
    """
    file = open_file(path)
    file.close()
    return len(file.series)


def _check_array(array: np.ndarray, axes: str | None) -> None:
    if array.ndim < 2 or not array.size or array.dtype.kind not in 'buif':
        raise UserError(f'array: found {array.dtype} of shape {array.shape}, expected numbers of '
                        'shape (h, w), (h, w, 3) or with more axes in front')
    if axes is None and array.ndim == 3 and array.shape[-1] == 2:
        raise UserError(f'array: found shape {array.shape}, expected --axes YXC and --channel N if '
                        'the last axis is channels, or else a letter for each of the axes')


def _choose_series(path: str, names: tuple[str, ...], number: int | None) -> int:
    if not names:
        raise UserError(f'{path}: found no image in the file, expected at least one')
    if number is None and len(names) > 1:
        shown = '; '.join(f'{i}: {name}' for i, name in enumerate(names[:20]))
        more = f'; and {len(names) - 20} more' if len(names) > 20 else ''
        raise UserError(f'{path}: found {len(names)} images in one file, expected --series N or '
                        f'--series all ({shown}{more})')
    if number is not None and not 0 <= number < len(names):
        raise UserError(f'{path}: --series: found {number}, expected 0 to {len(names) - 1}')
    return number or 0

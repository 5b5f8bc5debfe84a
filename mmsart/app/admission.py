"""What becomes of a file that a browser sends or a folder holds, before it enters the queue."""
from __future__ import annotations

import math
import re
import unicodedata
from pathlib import Path

from mmsart.app.limits import Limits
from mmsart.imaging.raster import RasterFile
from mmsart.imaging.readers import IMAGE_SUFFIXES, open_file
from mmsart.imaging.tiff import TiffFile
from mmsart.utils import UserError

LONGEST_NAME = 200
CONTROL = re.compile(r'[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]')
"""Characters that cannot be seen, or turn the direction of a text."""


def clean_name(name: str) -> str:
    """Take from a name whatever could be a path or cannot be seen.

    Args:
        name: as a browser sends it.

    Returns:
        A path below a folder, as of files in a folder that was dropped; of any other path the
        last part.

    Raises:
        UserError: nothing is left, or the ending is no image's.
    """
    name = CONTROL.sub('', unicodedata.normalize('NFC', name)).replace('\\', '/')
    parts = [part.strip() for part in name.split('/')]
    if {'', '.', '..'}.intersection(parts) or ':' in parts[0]:
        parts = parts[-1:]
    name = '/'.join(parts)
    suffix = Path(name).suffix
    if len(name) > LONGEST_NAME:
        name = name[:LONGEST_NAME - len(suffix)] + suffix
    if not name or name in ('.', '..'):
        raise UserError('name: found nothing that a file can be called, expected a name')
    if suffix.lower() not in IMAGE_SUFFIXES:
        raise UserError(f'{name}: found the ending {suffix or "none"!r}, expected one of '
                        f'{", ".join(IMAGE_SUFFIXES)}')
    return name


def count_megapixels(path: Path, name: str, limits: Limits, series: int | None = None) -> float:
    """Read an image's size from its header and refuse it if it is too large.

    Args:
        path: the file.
        name: what messages call it.
        limits: of the page.
        series: number of the image in its file.

    Returns:
        Megapixels of all frames.

    Raises:
        UserError: it is no image, or too large.
    """
    try:
        plane, frames = _read_size(path, series or 0)
    except UserError as error:
        raise UserError(str(error).replace(str(path), name)) from error
    if plane > limits.pixels:
        raise UserError(f'{name}: found {plane / 1e6:,.0f} megapixels, expected at most '
                        f'{limits.pixels / 1e6:,.0f}')
    if frames > limits.frames:
        raise UserError(f'{name}: found {frames:,} frames, expected at most {limits.frames:,}')
    return plane * frames / 1e6


def _read_size(path: Path, series: int) -> tuple[int, int]:
    """Return pixels of a plane and number of planes, from the header where it tells."""
    opened = open_file(path)  # checks that it is an image
    try:
        if isinstance(opened, RasterFile):
            return math.prod(opened.size), opened.frames
        number = min(series, len(opened.series) - 1)
        if isinstance(opened, TiffFile):
            axes = opened.axes(number)
        else:
            source = opened.source(number)
            axes = list(zip(source.axes, source.shape, strict=True))
    finally:
        opened.close()
    return (math.prod(length for axis, length in axes if axis in 'YX'),
            math.prod(length for axis, length in axes if axis not in 'YXSC'))

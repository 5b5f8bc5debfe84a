"""What every reader gives: pixels by index, with what the file says about them."""
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from mmsart.utils.errors import UserError

AXES = {'T': 'times', 'Z': 'depths', 'C': 'channels', 'Y': 'rows', 'X': 'columns', 'S': 'samples'}
"""The axes that are understood; S are the samples of a colour pixel. Letters as in OME and
tifffile."""

UM_PER_METRE = 1e6
SQUARE_TOLERANCE = 0.01  # relative difference of two lengths that are taken for the same

MAX_PIXELS = 1 << 32
"""What a header may claim of a picture, which is read whole: more than a mosaic, less than a slide
at its full size."""

SMALLEST_UM, LARGEST_UM = 1e-4, 1e6
"""What the side of a pixel may be: a tenth of a nanometre to a metre."""


class PixelSize(NamedTuple):
    """The side of a pixel and who says so.

    Attributes:
        um: micrometres.
        source: ``'option'`` or the metadata that holds it, such as ``'OME'``.
    """

    um: float
    source: str


def _nothing() -> None:
    """Close nothing."""


@dataclass
class Source:
    """One image of a file, or an array, whose planes are read when they are asked for.

    Attributes:
        name: the file or array, for messages.
        axes: a letter an axis, ending in ``YX`` or, with colour, ``YXS``; letters that are not
            among :data:`AXES` are axes of unknown meaning.
        shape: its length along each axis.
        read: takes an index for each axis before Y and gives the plane, (h, w) or (h, w, s), of
            any numeric dtype.
        channel_names: of the channels, where the file has them.
        pixel_sizes: each claim about the pixel size.
        colours: whether the samples of a pixel are a colour, rather than channels.
        inverted: whether the grey value 0 stands for white.
        warnings: what a reader of results should know.
        close: gives the file back.
    """

    name: str
    axes: str
    shape: tuple[int, ...]
    read: Callable[[tuple[int, ...]], np.ndarray]
    channel_names: tuple[str, ...] = ()
    pixel_sizes: tuple[PixelSize, ...] = ()
    colours: bool = True
    inverted: bool = False
    warnings: tuple[str, ...] = ()
    close: Callable[[], None] = field(default=_nothing)

    @property
    def plane_axes(self) -> str:
        """The axes of one plane: ``YX`` or ``YXS``."""
        return self.axes[self.axes.index('Y'):]

    @property
    def leading_axes(self) -> str:
        """The axes that number the planes."""
        return self.axes[:self.axes.index('Y')]


class ImageFile(Protocol):
    """A file with one or more images ("series", "scenes", "positions")."""

    series: tuple[str, ...]
    """A line on each image of the file."""

    def source(self, number: int) -> Source:
        """Open one image; its ``close`` closes the file."""

    def close(self) -> None:
        """Close the file."""


def array_source(array: np.ndarray) -> Source:
    """Take an array for an image.

    Args:
        array: (h, w), (h, w, 3) RGB, (h, w, 4) RGBA, or with more axes in front, whose meaning
            is then unknown.

    Returns:
        Its source.
    """
    colour = array.ndim > 2 and array.shape[-1] in (3, 4)
    plane = 'YXS' if colour else 'YX'
    leading = array.ndim - len(plane)
    return Source('array', 'QRIHEVABDFG'[:leading] + plane, array.shape, lambda index: array[index])


def is_side(um: float) -> bool:
    """Return whether a number can be the side of a pixel in micrometres."""
    return SMALLEST_UM <= um <= LARGEST_UM


def check_pixel_size(um: float | None) -> None:
    """Refuse a pixel size that can be none.

    Args:
        um: micrometres, as a user gives them.

    Raises:
        UserError: it is out of range.
    """
    if um is not None and not is_side(um):
        raise UserError(f'--pixel-size: found {um:g}, expected {SMALLEST_UM:g} to {LARGEST_UM:g} '
                        'micrometres')


def square_pixel(
        x_um: float | None, y_um: float | None, source: str,
) -> tuple[tuple[PixelSize, ...], tuple[str, ...]]:
    """Make one pixel size of a width and a height.

    Args:
        x_um: width in micrometres; None or out of range where it is not known.
        y_um: height, the same.
        source: who says so.

    Returns:
        The pixel size, if there is one, and a warning if the sides differ; the side is then that
        of a square of the same area.
    """
    sides = [side for side in (x_um, y_um) if side and is_side(side)]
    if not sides:
        return (), ()
    size = PixelSize(math.prod(sides) ** (1 / len(sides)), source)
    if max(sides) > min(sides) * (1 + SQUARE_TOLERANCE):
        return (size,), (f'{source}: pixels of {sides[0]:g} x {sides[1]:g} um are not square, '
                         f'taken as {size.um:g} um, which keeps their area',)
    return (size,), ()

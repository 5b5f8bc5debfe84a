"""How a user wants files to be read."""
from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from mmsart.imaging.normalization import Normalize, check_normalize
from mmsart.imaging.readers import open_image
from mmsart.imaging.source import check_pixel_size
from mmsart.imaging.stack import ImageStack, read_letters

Image = str | os.PathLike | np.ndarray


@dataclass(frozen=True)
class ReadOptions:
    """How files are read; see :func:`mmsart.imaging.open_image`.

    Attributes:
        axes: letters of the axes, in place of what a file says.
        channel: number or name of the channel.
        series: number of the image in its file.
        normalize: None, ``'none'`` or ``(low, high)``.
        pixel_size: micrometres, in place of what a file says.

    Raises:
        UserError: an option is wrong for any file.
    """

    axes: str | None = None
    channel: int | str | None = None
    series: int | None = None
    normalize: Normalize = None
    pixel_size: float | None = None

    def __post_init__(self) -> None:
        if self.axes is not None:
            read_letters(self.axes)
        check_normalize(self.normalize)
        check_pixel_size(self.pixel_size)

    def open(self, image: Image) -> ImageStack:
        """Open an image this way."""
        return open_image(image, **vars(self))

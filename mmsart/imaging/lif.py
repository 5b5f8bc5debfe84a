"""LIF of Leica microscopes, by the package liffile; each image of the file is a series."""
from __future__ import annotations

import os
from contextlib import ExitStack, closing
from typing import Any

import numpy as np

from mmsart.imaging.errors import missing_reader, reading
from mmsart.imaging.source import UM_PER_METRE, Source, square_pixel

CHANNELS = './Data/Image/ImageDescription/Channels/ChannelDescription'


class LifFile:
    """A LIF file.

    Args:
        path: the file.

    Raises:
        UserError: the library is missing, or the file is no whole LIF file.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = str(path)
        try:
            import liffile
        except ImportError as error:
            raise missing_reader(self.path, 'liffile', 'lif') from error
        with reading(self.path, 'LIF'), ExitStack() as opened:
            self._lif = opened.enter_context(closing(liffile.LifFile(self.path)))
            self._images = [image for image in self._lif.images if {'Y', 'X'} <= set(image.dims)]
            self.series = tuple(
                f'{image.path}: ' + ' x '.join(f'{n} {axis}' for axis, n in image.sizes.items())
                for image in self._images)
            opened.pop_all()  # it is whole, and stays open

    def source(self, number: int) -> Source:
        """Open one image."""
        image = self._images[number]
        with reading(self.path, 'LIF'):
            axes = ''.join([*(axis for axis in image.dims if axis not in 'YXS'),
                            *(axis for axis in 'YXS' if axis in image.dims)])
            # Colours are put in order in place, which a file that is only read does not allow.
            stored = image.asarray(out=None if 'S' in axes else 'memmap')
            array = stored.transpose([image.dims.index(axis) for axis in axes])
            sides = [_side(image.coords.get(axis)) for axis in 'XY']
            names = tuple(element.get('LUTName') or '' for element
                          in image.xml_element.findall(CHANNELS))
        sizes, notes = square_pixel(sides[0], sides[1], 'LIF')

        channels = image.sizes.get('C', 1)
        return Source(
            self.path, axes, array.shape, lambda index: np.array(array[index]),
            channel_names=names if len(names) == channels and all(names) else (),
            pixel_sizes=sizes, warnings=notes, close=self.close)

    def close(self) -> None:
        """Close the file."""
        self._lif.close()


def _side(coordinates: Any) -> float | None:
    """Measure the step of pixel centres in micrometres."""
    if coordinates is None or len(coordinates) < 2:
        return None
    return float(coordinates[-1] - coordinates[0]) / (len(coordinates) - 1) * UM_PER_METRE

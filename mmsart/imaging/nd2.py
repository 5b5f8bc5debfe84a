"""ND2 of Nikon microscopes, by the package nd2; positions are series."""
from __future__ import annotations

import os
from contextlib import ExitStack, closing

import numpy as np

from mmsart.imaging.errors import missing_reader, reading
from mmsart.imaging.source import Source, square_pixel


class Nd2File:
    """An ND2 file.

    Args:
        path: the file.

    Raises:
        UserError: the library is missing, or the file is no whole ND2 file.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = str(path)
        try:
            import nd2
        except ImportError as error:
            raise missing_reader(self.path, 'nd2', 'nd2') from error
        with reading(self.path, 'ND2'), ExitStack() as opened:
            self._nd2 = opened.enter_context(closing(nd2.ND2File(self.path)))
            self._sizes = dict(self._nd2.sizes)
            # By position, then by the other loops: the number of the frame that holds them.
            self._frames = [dict(found) for found in self._nd2.loop_indices] or [{}]
            opened.pop_all()  # it is whole, and stays open
        self.series = tuple(f'position {number}: {self._sizes["X"]} x {self._sizes["Y"]} pixels'
                            for number in range(self._sizes.get('P', 1)))

    def source(self, number: int) -> Source:
        """Open one position."""
        loops = [axis for axis in self._sizes if axis not in 'PCYXS']
        numbers = {tuple(found.get(axis, 0) for axis in loops): frame
                   for frame, found in enumerate(self._frames) if found.get('P', 0) == number}
        channels, colour = self._sizes.get('C', 1), 'S' in self._sizes
        plane = (self._sizes['Y'], self._sizes['X']) + ((self._sizes['S'],) if colour else ())
        with reading(self.path, 'ND2'):
            found = self._nd2.metadata.channels or []
            volume = found[0].volume if found else None
            names = tuple(channel.channel.name or '' for channel in found)
        sides = [side if volume and volume.axesCalibrated[axis] else None for axis, side
                 in enumerate(volume.axesCalibration[:2] if volume else (None, None))]
        sizes, notes = square_pixel(sides[0], sides[1], 'ND2')

        def read(index: tuple[int, ...]) -> np.ndarray:
            with reading(self.path, 'ND2'):
                pixels = self._nd2.read_frame(numbers[index[:-1]])
                return pixels.reshape(channels, *plane)[index[-1]]

        return Source(
            self.path, ''.join(loops) + 'C' + ('YXS' if colour else 'YX'),
            (*(self._sizes[axis] for axis in loops), channels, *plane), read,
            channel_names=names if len(names) == channels and all(names) else (),
            pixel_sizes=sizes, warnings=notes, close=self.close)

    def close(self) -> None:
        """Close the file."""
        self._nd2.close()

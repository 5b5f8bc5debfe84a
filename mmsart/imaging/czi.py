"""CZI of Zeiss microscopes, by Zeiss' own library; scenes are series, mosaics are put together."""
from __future__ import annotations

import os
from contextlib import ExitStack, closing
from xml.etree import ElementTree

import numpy as np

from mmsart.imaging.errors import missing_reader, reading
from mmsart.imaging.source import UM_PER_METRE, PixelSize, Source, square_pixel


class CziFile:
    """A CZI file.

    Args:
        path: the file.

    Raises:
        UserError: the library is missing, or the file is no whole CZI file.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = str(path)
        try:
            from pylibCZIrw.czi import CziReader
        except ImportError as error:
            raise missing_reader(self.path, 'pylibCZIrw', 'czi') from error
        with reading(self.path, 'CZI'), ExitStack() as opened:
            self._czi = opened.enter_context(closing(CziReader(self.path)))
            scenes = self._czi.scenes_bounding_rectangle_no_pyramid
            whole = self._czi.total_bounding_rectangle_no_pyramid
            opened.pop_all()  # it is whole, and stays open
        self._scenes: list[int | None] = sorted(scenes) or [None]
        self._rectangles = [scenes[s] for s in sorted(scenes)] or [whole]
        self.series = tuple(f'scene {scene or 0}: {rectangle.w} x {rectangle.h} pixels' for
                            scene, rectangle in zip(self._scenes, self._rectangles, strict=True))

    def source(self, number: int) -> Source:
        """Open one scene."""
        scene, rectangle = self._scenes[number], self._rectangles[number]
        with reading(self.path, 'CZI'):
            lengths = {axis: end - begin for axis, (begin, end)
                       in self._czi.total_bounding_box.items()}
            sizes, notes, names = _read_metadata(self._czi.raw_metadata)
        # Z and T name the planes that are read; further axes (views, phases) stay at their first,
        # and :class:`ImageStack` refuses them where they are longer.
        leading = [axis for axis in lengths if axis not in 'TZCXYSM' and lengths[axis] > 1]
        axes = [*leading, 'T', 'Z', 'C']

        def read(index: tuple[int, ...]) -> np.ndarray:
            plane = dict(zip(axes, index, strict=True))
            with reading(self.path, 'CZI'):
                pixels = self._czi.read(roi=tuple(rectangle), plane=plane, scene=scene)
            return pixels[..., 0] if pixels.shape[-1] == 1 else pixels[..., ::-1]  # BGR

        first = read((0,) * len(axes))
        return Source(
            self.path, ''.join(axes) + ('YX' if first.ndim == 2 else 'YXS'),
            (*(lengths[axis] for axis in axes), *first.shape), read, channel_names=names,
            pixel_sizes=sizes, warnings=notes, close=self.close)

    def close(self) -> None:
        """Close the file."""
        self._czi.close()


def _read_metadata(
        xml: str) -> tuple[tuple[PixelSize, ...], tuple[str, ...], tuple[str, ...]]:
    root = ElementTree.fromstring(xml)
    sides = []
    for axis in 'XY':
        value = root.findtext(f".//Scaling/Items/Distance[@Id='{axis}']/Value")
        sides.append(float(value) * UM_PER_METRE if value else None)
    names = tuple(channel.get('Name') or '' for channel in
                  root.findall('.//Information/Image/Dimensions/Channels/Channel'))
    return *square_pixel(sides[0], sides[1], 'CZI'), names if all(names) else ()

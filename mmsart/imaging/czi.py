"""CZI of Zeiss microscopes, by Zeiss' own library; scenes are series, mosaics are put together."""
from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import Any
from xml.etree import ElementTree

import numpy as np

from mmsart.imaging.errors import missing_reader, reading
from mmsart.imaging.source import UM_PER_METRE, PixelSize, Source, square_pixel
from mmsart.utils.errors import UserError


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
            blocks = self._list_blocks(scene)
            sizes, notes, names = _read_metadata(self._czi.raw_metadata)
        # A part that was saved by itself keeps the indices of the whole.
        ranges = {axis: _extent([block.get(axis, 0) for block in blocks])
                  for axis in {'T', 'Z', 'C'}.union(*blocks) - set('XYSM')}
        # Z and T name the planes that are read; further axes (views, phases) stay at their first,
        # and :class:`ImageStack` refuses them where they are longer.
        leading = sorted(axis for axis, (begin, end) in ranges.items()
                         if axis not in 'TZC' and end - begin > 1)
        axes = [*leading, 'T', 'Z', 'C']
        stored = {tuple(block.get(axis, 0) for axis in axes) for block in blocks}

        def read_stored(place: tuple[int, ...]) -> np.ndarray:
            plane = dict(zip(axes, place, strict=True))
            if place not in stored:  # the library would make it black
                raise UserError(f'{self.path}: found no pixels at ' + ', '.join(
                    f'{axis} {index - ranges[axis][0]}' for axis, index in plane.items())
                    + ' (from 0), expected a whole file')
            with reading(self.path, 'CZI'):
                pixels = self._czi.read(
                    roi=tuple(rectangle), plane=plane, scene=scene,
                    pixel_type=self._czi.get_channel_pixel_type(plane['C']))
            return pixels[..., 0] if pixels.shape[-1] == 1 else pixels[..., ::-1]  # BGR

        def read(index: tuple[int, ...]) -> np.ndarray:
            return read_stored(tuple(
                ranges[axis][0] + each for axis, each in zip(axes, index, strict=True)))

        first = read_stored(min(stored))
        return Source(
            self.path, ''.join(axes) + ('YX' if first.ndim == 2 else 'YXS'),
            (*(ranges[axis][1] - ranges[axis][0] for axis in axes), *first.shape), read,
            channel_names=names, pixel_sizes=sizes, warnings=notes, close=self.close)

    def _list_blocks(self, scene: int | None) -> list[dict[str, int]]:
        """List the indices, by axis, of the parts that a scene is stored in."""
        found: list[dict[str, int]] = []

        def look(_: int, block: Any) -> bool:
            place = block.coordinate.to_dict()
            if scene is None or place.get('S', scene) == scene:
                found.append(place)
            return True

        self._czi.enumerate_subblocks(look)
        return found

    def close(self) -> None:
        """Close the file."""
        self._czi.close()


def _extent(indices: Sequence[int]) -> tuple[int, int]:
    return min(indices), max(indices) + 1


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

"""Pictures of frames in tiles, at every power of two of their size."""
from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np

from mmsart.app.errors import NotFoundError
from mmsart.app.items import Item, open_item
from mmsart.formats.preview import shrink

TILE = 512
THUMBNAIL_SIDE = 160
PNG_LEVEL = 1  # zlib's: time matters more than bytes on the way through one computer
CACHED_BYTES = 512 << 20
BUILT_AT_ONCE = 2  # large ones take gigabytes, and a list of them asks for many


@dataclass(frozen=True)
class Pyramid:
    """A frame at full size and at halves of it, down to one tile.

    Attributes:
        levels: uint8 (h, w) or (h, w, 3) BGR; the first is the full size.
    """

    levels: tuple[np.ndarray, ...]

    @classmethod
    def build(cls, picture: np.ndarray) -> Pyramid:
        """Halve a picture, grey or RGB, until it fits into a tile."""
        if picture.ndim == 3:
            picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        levels = [np.ascontiguousarray(picture)]
        while max(levels[-1].shape[:2]) > TILE:
            height, width = levels[-1].shape[:2]
            size = (width + 1) // 2, (height + 1) // 2
            levels.append(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA))
        return cls(tuple(levels))

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return sum(level.nbytes for level in self.levels)

    def tile(self, level: int, column: int, row: int) -> bytes:
        """Cut a tile.

        Args:
            level: 0 is the full size.
            column, row: of the tile, from 0.

        Returns:
            PNG.

        Raises:
            NotFoundError: there is no such tile.
        """
        if not 0 <= level < len(self.levels) or column < 0 or row < 0:
            raise NotFoundError(f'level {level}: found no such tile')
        part = self.levels[level][row * TILE:(row + 1) * TILE, column * TILE:(column + 1) * TILE]
        if not part.size:
            raise NotFoundError(f'column {column}, row {row}: found no such tile')
        return _png(part)

    def thumbnail(self) -> bytes:
        """Shrink the picture to :data:`THUMBNAIL_SIDE`, stretched to the full range; PNG."""
        small = shrink(self.levels[-1], THUMBNAIL_SIDE).astype(np.float32)
        low, high = np.percentile(small, (0.5, 99.5))
        stretched = (small - low) * (255 / max(high - low, 1))
        return _png(np.clip(stretched, 0, 255).astype(np.uint8))


class Pictures:
    """Read pictures of items and keep those looked at last, in :data:`CACHED_BYTES`."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, int, int], Pyramid] = OrderedDict()
        self._lock = threading.Lock()
        self._building = threading.Semaphore(BUILT_AT_ONCE)
        self._reading: dict[tuple[str, int, int], threading.Lock] = {}

    def pyramid(self, item: Item, frame: int) -> Pyramid:
        """Give a frame of an item.

        Args:
            item: whose file is read if it must be.
            frame: from 0.

        Raises:
            UserError: the file is not there any more, or unreadable.
            NotFoundError: there is no such frame.
        """
        key = (item.id, item.runs, frame)  # each run may read the file in another way
        with self._lock:
            mine = self._reading.setdefault(key, threading.Lock())
        try:
            with mine:  # many tiles are asked for at once: the first reads the file
                return self._read(item, key)
        finally:
            with self._lock:
                self._reading.pop(key, None)

    def _read(self, item: Item, key: tuple[str, int, int]) -> Pyramid:
        """Look a frame up, or read it and keep it."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        with self._building:
            pyramid = _build(item, frame=key[-1])
        with self._lock:
            self._known[key] = pyramid
            while len(self._known) > 1 and sum(
                    each.nbytes for each in self._known.values()) > CACHED_BYTES:
                self._known.popitem(last=False)
        return pyramid

    def forget(self, item: Item) -> None:
        """Drop the pictures of an item."""
        with self._lock:
            for key in [key for key in self._known if key[0] == item.id]:
                del self._known[key]


def _build(item: Item, frame: int) -> Pyramid:
    with open_item(item) as stack:
        if not 0 <= frame < len(stack):
            raise NotFoundError(f'{item.name}: found no frame {frame}')
        return Pyramid.build(stack[frame].image)


def _png(picture: np.ndarray) -> bytes:
    """Encode a picture, grey or BGR."""
    done, data = cv2.imencode('.png', picture, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
    assert done
    return data.tobytes()


BLANK = _png(np.full((8, 8), 128, np.uint8))
"""In place of what cannot be read."""

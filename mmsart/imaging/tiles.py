"""A large image in tiles that overlap."""
from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from mmsart.utils.errors import UserError

ALIGNMENT = 32  # pixels: the coarsest stride of feature maps, so that a tile's grid is the image's


class Span(NamedTuple):
    """A stretch of rows or columns, and the part of it that no other one answers for.

    Attributes:
        begin: its first pixel.
        end: one past its last.
        core_begin: the first pixel of its core; cores tile the axis.
        core_end: one past the last of the core.
    """

    begin: int
    end: int
    core_begin: int
    core_end: int


class Tile(NamedTuple):
    """A part of an image.

    Attributes:
        rows: where it lies from top to bottom.
        columns: where it lies from left to right.
    """

    rows: Span
    columns: Span

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Half-open pixel box xyxy."""
        return self.columns.begin, self.rows.begin, self.columns.end, self.rows.end

    @property
    def core(self) -> tuple[int, int, int, int]:
        """Half-open pixel box xyxy of the core."""
        return (self.columns.core_begin, self.rows.core_begin, self.columns.core_end,
                self.rows.core_end)


def tile_grid(size: tuple[int, int], tile_size: tuple[int, int], overlap: int) -> list[Tile]:
    """Cut an image into tiles.

    All tiles have one size, so that none costs more memory than another and none is shown to the
    network larger than the others. They begin at multiples of 32 pixels but for the last of a row
    or column, which ends where the image ends. Cores meet in the middle of the overlap.

    Args:
        size: (h, w) of the image.
        tile_size: (h, w) of the largest tile.
        overlap: the least number of pixels that neighbours share.

    Returns:
        The tiles, row by row; a single one if the image is no larger.

    Raises:
        UserError: a tile is not larger than the overlap by 32 pixels or more.
    """
    spans = [_spans(length, tile, overlap) for length, tile in zip(size, tile_size, strict=True)]
    return [Tile(rows, columns) for rows in spans[0] for columns in spans[1]]


def even_grid(size: tuple[int, int], tile_size: tuple[int, int],
              counts: tuple[int, int]) -> list[Tile]:
    """Cut an image into a given number of tiles, as far apart as they can be.

    Args:
        size: (h, w) of the image.
        tile_size: (h, w) of a tile; one that is larger than the image is cut down to it.
        counts: rows and columns of tiles.

    Returns:
        The tiles, row by row. Cores meet in the middle of the overlap.

    Raises:
        UserError: so few tiles leave gaps between them.
    """
    rows, columns = (
        _joined([round(number * (length - tile) / max(count - 1, 1)) for number in range(count)],
                tile, length)
        for length, tile, count in zip(size, map(min, tile_size, size), counts, strict=True))
    if not all(span.core_begin >= span.begin and span.core_end <= span.end
               for span in (*rows, *columns)):
        raise UserError(f'tiles: found {counts[0]} x {counts[1]} of {tile_size[0]} x '
                        f'{tile_size[1]} pixels for an image of {size[0]} x {size[1]}, expected '
                        'tiles that cover it')
    return [Tile(each, other) for each in rows for other in columns]


def _spans(length: int, tile: int, overlap: int) -> list[Span]:
    if overlap < 0 or tile < overlap + ALIGNMENT:
        raise UserError(f'tiles: found {tile} pixels with an overlap of {overlap}, expected an '
                        f'overlap from 0 and tiles that are {ALIGNMENT} pixels larger')
    if length <= tile:
        return [Span(0, length, 0, length)]
    step = (tile - overlap) // ALIGNMENT * ALIGNMENT
    begins = [*range(0, length - tile, step), length - tile]
    return _joined(begins, tile, length)


def _joined(begins: list[int], tile: int, length: int) -> list[Span]:
    """Give each stretch of `tile` pixels its core, from the middle of one overlap to the next."""
    middles = [(begin + tile + following) // 2 for begin, following in pairwise(begins)]
    return [Span(begin, begin + tile, core_begin, core_end) for begin, core_begin, core_end
            in zip(begins, [0, *middles], [*middles, length], strict=True)]

"""The cells of one image file, with all that a reader of them may ask for."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from mmsart.structures.detections import Detections

# Okabe and Ito (2008), without black: told apart by colour-blind eyes too.
OKABE_ITO = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (204, 121, 167), (240, 228, 66),
             (213, 94, 0), (0, 114, 178))
"""RGB colours of classes that bring none of their own."""

FOUND, DRAWN, CHANGED = MADE = ('found', 'drawn', 'changed')
"""How cells come about: by a detector, by a hand, or by a hand from what a detector has found."""


@dataclass(frozen=True)
class FrameResult:
    """One plane of an image file.

    Args:
        detections: its final cells. Cell i has the label i + 1, in every file written.
        image: (h, w), grey values as they were measured, of any numeric type; anything that
            `numpy.asarray` takes, so it may be a memory map or an object that reads on demand.
        t: index of the time point, from 0.
        z: index of the focal plane, from 0.
        made: of each cell, one of :data:`MADE`; None where a detector has found all.
        removed: number of cells that a detector has found and a hand has taken away.

    Raises:
        ValueError: the image and the masks differ in size.
    """

    detections: Detections
    image: ArrayLike
    t: int = 0
    z: int = 0
    made: Sequence[str] | None = None
    removed: int = 0

    def __post_init__(self) -> None:
        found, expected = tuple(np.shape(self.image)), self.size
        if found != expected:
            raise ValueError(f'image {self.detections.img_id!r}: grey values of shape {found}, '
                             f'expected {expected} as the masks')

    @property
    def origins(self) -> Sequence[str]:
        """How each cell came about, one of :data:`MADE`."""
        return [FOUND] * len(self.detections) if self.made is None else self.made

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.detections.masks.height, self.detections.masks.width


@dataclass(frozen=True)
class ImageResult:
    """The cells of an image file of one plane or many.

    Args:
        name: of the image, as it is to stand in tables.
        frames: at least one, all of one size, ordered by t, then z; a stack is complete. They are
            asked for one after another, so a sequence may read them from files.
        classes: names in label order.
        palette: RGB of each class, as data sets have it in their ``metainfo``; None for
            :data:`OKABE_ITO`.
        pixel_size: um, the side of a pixel; None where it is not known.
        pixel_size_source: where that was found, for the summary.
        display_range: grey values shown as black and as white in pictures, the larger one first
            where 0 is white; None shows 8 bits as they are and stretches others between the
            percentiles 0.1 and 99.9 of each frame.
        seconds: time that the prediction took; None where it was not measured.
        warnings: one line each.
        num_channels: of the file, of which `frames` show one.
        axes: letters of the axes of the file, as they were taken; empty where nobody knows.
        channel: name or number of the channel that `frames` show; None where there is one alone.
        scaling: where the grey values shown as black and white come from, see
            :class:`mmsart.imaging.normalization.Normalization`.
        date: when the cells were found, as ISO 8601 writes it.

    Raises:
        ValueError: there is no frame, frames differ in size, some are missing from the stack, or
            a label has no class.
    """

    name: str
    frames: Sequence[FrameResult]
    classes: Sequence[str]
    palette: Sequence[tuple[int, int, int]] | None = None
    pixel_size: float | None = None
    pixel_size_source: str = ''
    display_range: tuple[float, float] | None = None
    seconds: float | None = None
    warnings: Sequence[str] = ()
    num_channels: int = 1
    axes: str = ''
    channel: int | str | None = None
    scaling: str = ''
    date: str = ''

    def __post_init__(self) -> None:
        if not self.frames:
            raise ValueError(f'image {self.name!r}: no frames, expected at least one')
        sizes, found, highest = set(), [], -1
        for frame in self.frames:  # once: it may be read from a file each time
            sizes.add(frame.size)
            found.append((frame.t, frame.z))
            highest = max(highest, frame.detections.labels.max(initial=-1))
        if len(sizes) > 1:
            raise ValueError(f'image {self.name!r}: frames of sizes {sorted(sizes)}, expected one')
        num_t, num_z = 1 + max(t for t, _ in found), 1 + max(z for _, z in found)
        if found != [(t, z) for t in range(num_t) for z in range(num_z)]:
            raise ValueError(
                f'image {self.name!r}: frames (t, z) {found[:5]}..., expected all of '
                f'{num_t} x {num_z}, ordered by t, then z')
        if highest >= len(self.classes):
            raise ValueError(f'image {self.name!r}: label {highest}, expected less than the '
                             f'{len(self.classes)} classes')

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of each frame in pixels."""
        return self.frames[0].size

    @cached_property
    def stack_size(self) -> tuple[int, int]:
        """Number of time points and of focal planes."""
        last = self.frames[-1]
        return 1 + last.t, 1 + last.z

    @property
    def num_cells(self) -> int:
        """Cells of all frames."""
        return sum(len(frame.detections) for frame in self.frames)

    @property
    def colours(self) -> list[tuple[int, int, int]]:
        """RGB of each class."""
        return class_colours(len(self.classes), self.palette)

    def frame_suffix(self, frame: FrameResult) -> str:
        """Tell frames apart in file names; see :func:`frame_suffix`."""
        return frame_suffix(frame.t, frame.z, self.stack_size)


def class_colours(number: int, palette: Sequence[tuple[int, int, int]] | None = None,
                  ) -> list[tuple[int, int, int]]:
    """Assign a colour to each class.

    Args:
        number: of classes.
        palette: RGB colours; taken in turn where there are more classes. None for
            :data:`OKABE_ITO`.
    """
    chosen = palette or OKABE_ITO
    return [chosen[index % len(chosen)] for index in range(number)]


def frame_suffix(t: int, z: int, stack_size: tuple[int, int]) -> str:
    """Tell frames apart in file names.

    Args:
        t: time, from 0.
        z: depth, from 0.
        stack_size: number of times and of depths.

    Returns:
        The empty string for a single image, else as ``_t03``, ``_z120`` or ``_t03_z120``.
    """
    return ''.join(f'_{axis}{index:0{max(len(str(count - 1)), 2)}d}' for axis, index, count
                   in zip('tz', (t, z), stack_size, strict=True) if count > 1)

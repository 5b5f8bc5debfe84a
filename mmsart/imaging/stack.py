"""A microscope's image as the frames that a network looks at."""
from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from mmsart.imaging.normalization import Normalization, Normalize, find_normalization
from mmsart.imaging.source import AXES, SQUARE_TOLERANCE, PixelSize, Source, check_pixel_size
from mmsart.utils.errors import UserError

FRAME_AXES = 'TZ'
SAMPLE_NAMES = ('red', 'green', 'blue')


@dataclass(frozen=True)
class Frame:
    """One picture of a stack.

    Attributes:
        image: uint8 (h, w) grey or (h, w, 3) RGB, for the network and for pictures.
        raw: (h, w), the grey values as the file holds them, of its dtype; of colours their
            luminance. For measurements.
        t: its time, from 0; None where the stack has no times.
        z: its depth, the same.
    """

    image: np.ndarray
    raw: np.ndarray
    t: int | None = None
    z: int | None = None


class ImageStack:
    """The frames of one image, by time and then by depth, each read when it is asked for.

    Args:
        source: planes and what is known about them.
        axes: a letter an axis in the order of the file, of ``T``, ``Z``, ``C``, ``Y``, ``X`` and
            ``S``, in place of what the file says.
        channel: channel to segment, by its number (from 0), name, or a text with ``#`` and its
            number; of colours 0, 1 and 2 are red, green and blue.
        normalize: see :data:`~mmsart.imaging.normalization.Normalize`.
        pixel_size: micrometres, in place of what the file says.

    Attributes:
        name: of the file.
        axes: those that number the frames: ``''``, ``'T'``, ``'Z'`` or ``'TZ'``.
        sizes: how many times and depths there are, by these letters.
        height: of each frame in pixels.
        width: of each frame in pixels.
        channel: name or number of the channel; None where there is one alone.
        num_channels: how many the file has; colours are one.
        pixel_size: of each frame; None if nobody says.
        normalization: how grey values became 8 bits.
        warnings: lines for the reader of results.

    Raises:
        UserError: it is not clear which axis is what or which channel is meant, the message names
            the option that says it; or an option does not fit the file.
    """

    def __init__(
            self, source: Source, axes: str | None = None, channel: int | str | None = None,
            normalize: Normalize = None, pixel_size: float | None = None) -> None:
        self._source = relabel(source, axes) if axes else source
        self.name = source.name
        _check_axes(self._source)
        self._lengths = dict(zip(self._source.axes, self._source.shape, strict=True))
        self._notes = list(source.warnings)
        self._sample: int | None = None
        self._channel = 0
        self.channel = self._choose_channel(channel)
        self.num_channels = self._lengths.get('C', 1) * (
            1 if self._source.colours else self._lengths.get('S', 1))
        self.height, self.width = self._lengths['Y'], self._lengths['X']
        self.axes = ''.join(axis for axis in FRAME_AXES if self._lengths.get(axis, 1) > 1)
        self.sizes = {axis: self._lengths[axis] for axis in self.axes}
        self.pixel_size = self._choose_pixel_size(pixel_size)
        first = self._plane(0)
        if first.dtype.kind not in 'uif':
            raise UserError(f'{self.name}: found values of type {first.dtype}, expected whole or '
                            'floating-point grey values')
        self.normalization: Normalization = find_normalization(
            self.name, first.dtype, self._planes(first), first.size * len(self), normalize)
        if self.normalization.low == self.normalization.high:
            self._notes.append(f'every pixel has the grey value {self.normalization.low:g}')

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines for the reader of results."""
        return tuple(self._notes)

    @property
    def file_axes(self) -> str:
        """Letters of the axes of the image, in the order of the file, without those of length 1
        beside Y and X."""
        return ''.join(axis for axis in self._source.axes
                       if self._lengths[axis] > 1 or axis in 'YX')

    @property
    def display_range(self) -> tuple[float, float] | None:
        """Grey values that pictures show as black and as white, so that they show what the network
        sees; None for 8 bits as they are."""
        limits = self.normalization.low, self.normalization.high
        if self._source.inverted:
            return limits[::-1]
        return None if self.normalization.source == '8 bits' else limits

    def __len__(self) -> int:
        return math.prod(self.sizes.values())

    def __iter__(self) -> Iterator[Frame]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> Frame:
        """Read a frame.

        Args:
            number: from 0, depths running fastest.

        Returns:
            The frame.
        """
        number = range(len(self))[number]
        plane = self._plane(number)
        image = self.normalization(plane)
        if self._source.inverted:
            image = 255 - image
        return Frame(image, _luminance(plane), **self._place(number))

    def read_raw(self, number: int) -> np.ndarray:
        """Read the grey values of a frame alone.

        Args:
            number: from 0, depths running fastest.

        Returns:
            (h, w), as :attr:`Frame.raw`.
        """
        return _luminance(self._plane(range(len(self))[number]))

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def __enter__(self) -> ImageStack:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _place(self, number: int) -> dict[str, int | None]:
        found = dict(zip(self.axes, np.unravel_index(number, tuple(self.sizes.values())),
                         strict=True)) if self.axes else {}
        return {axis.lower(): int(found[axis]) if axis in found else None for axis in FRAME_AXES}

    def _plane(self, number: int) -> np.ndarray:
        """Read the grey values or colours of a frame as the file holds them."""
        place = self._place(number) | {'c': self._channel}
        plane = self._source.read(
            tuple(place.get(axis.lower()) or 0 for axis in self._source.leading_axes))
        if plane.dtype == bool:
            plane = plane.astype(np.uint8) * 255
        if plane.ndim == 2:
            return plane
        if self._sample is not None:
            return np.ascontiguousarray(plane[..., self._sample])
        colours = plane[..., :3]
        same = (colours == colours[..., :1]).all()
        return np.ascontiguousarray(colours[..., 0] if same else colours)

    def _planes(self, first: np.ndarray) -> Iterator[np.ndarray]:
        return itertools.chain([first], (self._plane(n) for n in range(1, len(self))))

    def _choose_channel(self, channel: int | str | None) -> int | str | None:
        samples, count = self._lengths.get('S', 1), self._lengths.get('C', 1)
        if samples > 1 and count == 1 and not self._source.colours:
            self._sample = self._choose_of(channel, samples, ())
            return self._sample
        if samples > 4:
            raise UserError(
                f'{self.name}: found {samples} values a pixel, expected --axes '
                f'{self._source.axes.replace("S", "C")} and --channel N')
        if samples in (2, 4):
            self._notes.append('transparency is ignored')
        if samples < 3:
            self._sample = 0 if samples < 3 and 'S' in self._lengths else None
        names = self._source.channel_names if len(self._source.channel_names) == count else ()
        if samples >= 3 and count == 1 and channel is not None:
            self._sample = self._find_channel(channel, 3, SAMPLE_NAMES)
            return SAMPLE_NAMES[self._sample]
        if channel is None and count == 1:
            return None
        self._channel = self._choose_of(channel, count, names)
        return names[self._channel] if names else self._channel

    def _choose_of(self, channel: int | str | None, count: int, names: tuple[str, ...]) -> int:
        if channel is None:
            known = f' ({", ".join(names)})' if names else ''
            named = ' or a name' if names and len(set(names)) == count else ''
            raise UserError(f'{self.name}: found {count} channels{known}, expected --channel with '
                            f'one of 0 to {count - 1}{named}')
        return self._find_channel(channel, count, names)

    def _find_channel(self, channel: int | str, count: int, names: tuple[str, ...]) -> int:
        text = str(channel)
        digits = text.removeprefix('#')
        number = int(digits) if digits.isdecimal() and int(digits) < count else None
        named = [place for place, name in enumerate(names)
                 if isinstance(channel, str) and name.lower() == text.lower()]
        found = set(named) if number is None else {number, *named}
        if len(found) == 1:
            return found.pop()
        place = f'{self.name}: --channel: found {channel!r}'
        if found:
            numbers = ' or '.join(f'#{each}' for each in sorted(found))
            raise UserError(f'{place}, which stands for several of {", ".join(names)}, expected '
                            f'{numbers}, counted from 0')
        known = ', '.join(names) if len(set(names)) == count else f'0 to {count - 1}'
        expected = f'one of {known}' if count > 1 else 'no such option, since it has one channel'
        raise UserError(f'{place}, expected {expected}')

    def _choose_pixel_size(self, given: float | None) -> PixelSize | None:
        check_pixel_size(given)
        claims = self._source.pixel_sizes
        if given is not None:
            claims = (PixelSize(given, 'option'), *claims)
        if not claims:
            return None
        for other in claims[1:]:
            if abs(other.um - claims[0].um) > SQUARE_TOLERANCE * claims[0].um:
                self._notes.append(
                    f'pixel size: {claims[0].um:g} um ({claims[0].source}) is used, '
                    f'{other.source} says {other.um:g} um')
        return claims[0]


def relabel(source: Source, axes: str) -> Source:
    """Rename the axes of an image.

    Args:
        source: the image.
        axes: a letter an axis, with or without those of length 1, and with or without S at the
            end where the image has colours. Of a single plane the letters before YX may be left
            out, since a folder may hold stacks and single images.

    Returns:
        The same image. It is held in memory whole if Y and X, or Y, X and S, are no longer its last
        axes.

    Raises:
        UserError: the letters do not fit.
    """
    axes = read_letters(axes)
    colours = source.colours or 'S' in axes  # which is said to be a colour's
    long = [place for place, length in enumerate(source.shape)
            if length > 1 or source.axes[place] in 'YX']
    if axes.endswith(('YX', 'YXS')) and [source.axes[place] for place in long] in (
            ['Y', 'X'], ['Y', 'X', 'S']):
        return replace(source, colours=colours)
    fitting = next((
        (letters, places)
        for places in (range(len(source.shape)), long)
        for letters in (axes, axes + 'S')
        if len(letters) == len(places) and letters.count('S') <= 1
        and (letters == axes or source.axes.endswith('S'))), None)
    if fitting is None:
        raise UserError(f'{source.name}: --axes {axes}: found {len(source.shape)} axes of '
                        f'{" x ".join(map(str, source.shape))} ({source.axes}), expected a letter '
                        'for each')
    letters, places = fitting
    leading = len(source.leading_axes)
    shape = tuple(source.shape[place] for place in places)
    front = [place for place in places if place < leading]

    def read(index: tuple[int, ...]) -> np.ndarray:
        whole = [0] * leading
        for place, position in zip(front, index, strict=True):
            whole[place] = position
        plane = source.read(tuple(whole))
        return plane.reshape(shape[len(front):])

    if letters[len(front):] in ('YX', 'YXS') and 'S' not in letters[:len(front)]:
        return replace(source, axes=letters, shape=shape, read=read, colours=colours)
    planes = [read(index) for index in np.ndindex(*shape[:len(front)])]
    array = np.stack(planes).reshape(shape)
    order = [*(letters.index(axis) for axis in letters if axis not in 'YXS'),
             *(letters.index(axis) for axis in 'YXS' if axis in letters)]
    moved = array.transpose(order)
    return replace(source, axes=''.join(letters[place] for place in order), shape=moved.shape,
                   read=lambda index: moved[index], colours=colours)


def read_letters(axes: str) -> str:
    """Read the letters of axes, small or large.

    Args:
        axes: as a user gives them.

    Returns:
        The letters in capitals.

    Raises:
        UserError: they are no axes of a picture.
    """
    letters = axes.upper()
    each = set(letters)
    if not set('YX') <= each <= set(AXES) or len(each) < len(letters):
        known = ', '.join(f'{letter} ({meaning})' for letter, meaning in AXES.items())
        raise UserError(f'--axes: found {axes!r}, expected letters of {known}, each once, Y and X '
                        'among them')
    return letters


def _check_axes(source: Source) -> None:
    """Refuse an image with a longer axis of unknown meaning.

    Raises:
        UserError: the line says which option to add.
    """
    unknown = [(axis, length) for axis, length in zip(source.axes, source.shape, strict=True)
               if axis not in AXES and length > 1]
    if not unknown:
        return
    shape = ' x '.join(map(str, source.shape))
    if len(unknown) > 1:
        raise UserError(f'{source.name}: found {shape} pixels with axes of unknown meaning '
                        f'({source.axes}), expected --axes with a letter for each, such as '
                        f'--axes {("TZC" + source.plane_axes)[-len(source.axes):]}')
    guesses = {axis: source.axes.replace(unknown[0][0], axis) for axis in 'TZC'
               if axis not in source.axes}
    choices = [f'--axes {guess} for {AXES[axis]}' + (' and --channel N' if axis == 'C' else '')
               for axis, guess in guesses.items()]
    raise UserError(f'{source.name}: found {shape} pixels, and not whether the {unknown[0][1]} are '
                    f'times, depths or channels, expected {", or ".join(choices)}')


def _luminance(plane: np.ndarray) -> np.ndarray:
    if plane.ndim == 2:
        return plane
    if plane.dtype not in (np.uint8, np.uint16, np.float32):
        plane = plane.astype(np.float32)
    return cv2.cvtColor(plane, cv2.COLOR_RGB2GRAY)

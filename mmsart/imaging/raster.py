"""PNG, JPEG, WebP, BMP, GIF and whatever else Pillow knows."""
from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ExifTags import Base

from mmsart.imaging.errors import reading
from mmsart.imaging.source import MAX_PIXELS, Source
from mmsart.imaging.tiff import ORIENTATIONS
from mmsart.utils.errors import UserError

PNG_DEPTH = 24  # where a PNG file has its bits per channel
EXIF_OF_PNG = (b'eXIf', b'Raw profile type exif')  # by its chunk, or as a text
PROGRAMS = ('EPS', 'WMF')  # Pillow would have another program run them
DEEP_MODES = ('I', 'F')  # and I;16, I;16B ...


class RasterFile:
    """An image that Pillow opens, as one series; an animation's frames are times.

    Args:
        path: the file.

    Attributes:
        size: (h, w) as the header says.
        frames: of an animation.

    Raises:
        UserError: it is no image that Pillow knows.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = str(path)
        self._animation: Image.Image | None = None
        # Frames are counted by reading. MPO, from telephones, holds previews and second lenses
        # beside the picture.
        with any_size(), reading(self.path, 'image'), _open(self.path) as image:
            self.frames = 1 if image.format == 'MPO' else getattr(image, 'n_frames', 1)
            self.size = (image.height, image.width)
        self.series: tuple[str, ...] = (f'{image.width} x {image.height} pixels',)

    def source(self, number: int) -> Source:
        """Open the image."""
        first, notes = self._read(0)
        axes = 'TYX' if first.ndim == 2 else 'TYXS'
        return Source(
            self.path, axes, (self.frames, *first.shape),
            lambda index: first if index == (0,) else self._read(index[0])[0], warnings=notes,
            close=self.close)

    def close(self) -> None:
        """Close the file of an animation; that of a picture was closed when it was read."""
        if self._animation is not None:
            self._animation.close()
            self._animation = None

    def _read(self, frame: int) -> tuple[np.ndarray, tuple[str, ...]]:
        if _is_deep_png(self.path):  # Pillow keeps the upper 8 bits of colours
            return self._read_deep(), ()
        with any_size(), reading(self.path, 'image'):
            if self.frames == 1:
                with _open(self.path) as image:
                    return _pixels(image)
            try:
                if self._animation is None:
                    self._animation = _open(self.path)
                self._animation.seek(frame)  # from the last one on: each holds what changes
                return _pixels(self._animation)
            except BaseException:
                self.close()  # it stands anywhere
                raise

    def _read_deep(self) -> np.ndarray:
        import imagecodecs  # tens of megabytes, for a kind of file that is rare

        with any_size(), reading(self.path, 'image'):
            content = Path(self.path).read_bytes()
            orientation = 1
            if any(name in content for name in EXIF_OF_PNG):
                # Pillow decodes the pixels first, behind which it may stand.
                with Image.open(io.BytesIO(content), formats=['PNG']) as image:
                    orientation = image.getexif().get(Base.Orientation, 1)
            turn = ORIENTATIONS.get(orientation, ORIENTATIONS[1])
            return turn(imagecodecs.png_decode(content))


def _pixels(image: Image.Image) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the pixels of a frame the right way up, and warnings."""
    turned = ImageOps.exif_transpose(image)
    if turned.mode.startswith(DEEP_MODES):
        return np.asarray(turned), ()
    grey = turned.mode in ('1', 'L', 'LA', 'La')
    opaque = True
    if turned.has_transparency_data:  # a palette's, or that of one colour, too
        turned = turned.convert('RGBA')
        opaque = turned.getchannel('A').getextrema() == (255, 255)
    pixels = np.asarray(turned.convert('L' if grey else 'RGB'))
    return pixels, () if opaque else ('transparency is ignored',)


def check_pixels(path: str, image: Image.Image) -> None:
    """Refuse a picture that is a program, before anything runs it.

    Args:
        path: its file.
        image: of which nothing but the header is read.

    Raises:
        UserError: it is one.
    """
    if image.format in PROGRAMS:
        raise UserError(f'{path}: found {image.format}, a program that draws a picture, expected '
                        'a picture in pixels')


@contextmanager
def any_size() -> Iterator[None]:
    """Let Pillow read stitched images, which it takes for an attack from 179 million pixels on."""
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow warns there and refuses twice as much
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _open(path: str) -> Image.Image:
    try:
        image = Image.open(path)
    except UnidentifiedImageError as error:
        raise UserError(f'{path}: found no image of a known format, expected a whole file of '
                        'PNG, JPEG, WebP, BMP, GIF, TIFF, CZI, ND2 or LIF') from error
    try:
        check_pixels(path, image)
    except UserError:
        image.close()
        raise
    return image


def _is_deep_png(path: str) -> bool:
    with open(path, 'rb') as file:
        head = file.read(PNG_DEPTH + 1)
    return head.startswith(b'\x89PNG') and head[PNG_DEPTH:] == b'\x10'

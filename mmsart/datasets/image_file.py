"""What an image file says before its pixels are decoded: size, depth, pages, whole or cut."""
import functools
import os
import stat
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import cv2
import numpy as np
import tifffile
from PIL import Image

from mmsart.imaging.raster import DEEP_MODES, any_size, check_pixels
from mmsart.utils.errors import UserError, missing

ORIENTATION = 0x112  # the tag of TIFF and EXIF
PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
TIFF_SIGNATURES = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
JPEG_START_OF_SCAN, JPEG_END = 0xDA, b'\xff\xd9'

OPENCV_FORMATS = ('JPEG', 'MPO', 'BMP', 'WEBP', 'PPM')  # of every build, by their names in Pillow
OPENCV_COMPRESSIONS = (1, 2, 3, 4, 5, 7, 8, 32773, 32946)  # none, CCITT, LZW, JPEG, zlib, PackBits
PILLOW_COMPRESSIONS = (34925, 50000, 50001)  # LZMA, Zstandard, WebP
GREY, COLOUR, ENCODED = (0, 1), (2,), (3, 5, 6)  # ways to say a colour; palette, CMYK and YCbCr
ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA = 1, 2
MOST_AT_ONCE = 4  # images decoded in memory, which may be mosaics
REDUCED_OR_MASK = 1 | 4  # bits of the tag NewSubfileType


class ImageHeader(NamedTuple):
    """What is known of an image that can be loaded.

    Attributes:
        height: in pixels.
        width: in pixels.
        backend: what decodes its pixels as they are: ``'cv2'``, or ``'pillow'`` where OpenCV
            cannot, or would change them.
    """

    height: int
    width: int
    backend: str = 'cv2'


def read_header(path: str | os.PathLike) -> ImageHeader:
    """Read the header of an image and refuse what would be loaded as something else.

    Args:
        path: the file. Its format is told by its first bytes, whatever its name.

    Returns:
        Its size and how to decode it.

    Raises:
        MissingFileError: there is no such file.
        UserError: it is no image that can be read, cut off, has more than 8 bits per channel, more
            than one page or frame, channels without colours, or is to be turned before it is
            shown.
    """
    return _read_version(*_version(path))


def read_grey(path: str | os.PathLike, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read the grey values of an image.

    Args:
        path: the file.
        size: (h, w) that the image has to have; None for any.

    Returns:
        uint8 (h, w); colours become their luma.

    Raises:
        MissingFileError: there is no such file.
        UserError: it cannot be loaded, see :func:`read_header`, or is of another size.
    """
    header = read_header(path)
    if size is not None and (header.height, header.width) != size:
        raise UserError(f'{path}: found {header.width} x {header.height} pixels, expected '
                        f'{size[1]} x {size[0]}')
    if header.backend == 'pillow':
        with any_size(), Image.open(path) as image:
            return np.asarray(image.convert('L'))
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise UserError(f'{path}: the image cannot be decoded, expected a whole file')
    return grey


def find_unreadable(paths: Sequence[str | os.PathLike]) -> dict[str, str]:
    """Decode images and name each one that cannot be loaded.

    Args:
        paths: the files.

    Returns:
        Path and message of each that is damaged or refused by :func:`read_header`, in their order.
    """
    with any_size(), ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        found = zip(map(str, paths), pool.map(_find_problem, paths), strict=True)
        return {path: problem for path, problem in found if problem}


def _version(path: str | os.PathLike) -> tuple[str, int, int]:
    """Return what tells a file from its former and later self: name, time of change and bytes."""
    path = Path(path)
    try:
        state = path.stat()
    except ValueError as error:  # a zero byte in the name
        raise UserError(f'{str(path)!r}: found a zero byte, expected the name of an image'
                        ) from error
    except OSError as error:
        raise missing(path, 'an image') from error
    if not stat.S_ISREG(state.st_mode):  # to open a pipe would wait for its other end
        raise missing(path, 'an image')
    return str(path), state.st_mtime_ns, state.st_size


def _find_problem(path: str | os.PathLike) -> str:
    try:
        read_header(path)
        return _decode_version(*_version(path))
    except UserError as error:
        return str(error)


@functools.lru_cache(maxsize=1 << 16)
def _decode_version(path: str, _mtime_ns: int, _size: int) -> str:
    """Decode a file once and say what is wrong with it; the empty text if nothing is."""
    try:
        with Image.open(path) as image:
            image.load()
    except Exception as error:  # Pillow raises nearly anything on a damaged file
        return f'{path}: the image cannot be decoded, expected a whole file: {error}'
    return ''


@functools.lru_cache(maxsize=1 << 16)
def _read_version(path: str, _mtime_ns: int, size: int) -> ImageHeader:
    """Read the file once for all data sets of a run, and anew when it has changed."""
    try:
        with open(path, 'rb') as file:
            magic = file.read(8)
            file.seek(0)
            if magic == PNG_SIGNATURE:
                header = _read_png(path, file)
            elif magic[:4] in TIFF_SIGNATURES:
                header = _read_tiff(path, file, size)
            else:
                header = _read_other(path, file, size)
    except UserError:
        raise
    except Exception as error:  # Pillow and tifffile raise nearly anything on a damaged file
        raise UserError(
            f'{path}: not a readable image, expected {Path(path).suffix} data') from error
    if header.height < 1 or header.width < 1:
        raise UserError(f'{path}: found {header.height} x {header.width} pixels, expected some')
    return header


def _read_png(path: str, file: BinaryIO) -> ImageHeader:
    """Walk through the chunks; see the PNG specification, section 5."""
    file.seek(len(PNG_SIGNATURE))
    size, frames, orientation, name = (0, 0), 1, 1, b''
    while name != b'IEND':
        start = file.read(8)
        if len(start) < 8:
            raise _cut(path, 'PNG')
        length, name = struct.unpack('>I4s', start)
        if name == b'IDAT':
            file.seek(length, os.SEEK_CUR)
        else:
            data = file.read(length)
            if name == b'IHDR':
                width, height, bits = struct.unpack('>IIB', data[:9])
                size = height, width
                _check_depth(path, bits)
            elif name == b'acTL':
                frames = struct.unpack('>I', data[:4])[0]
            elif name == b'eXIf':
                exif = Image.Exif()
                exif.load(data)
                orientation = exif.get(ORIENTATION, 1)
        if len(file.read(4)) < 4:  # the check sum
            raise _cut(path, 'PNG')
    _check_pages(path, frames)
    _check_orientation(path, orientation)
    return ImageHeader(*size)


def _read_tiff(path: str, file: BinaryIO, size: int) -> ImageHeader:
    with tifffile.TiffFile(file) as tif:
        pages = [page for page in tif.pages
                 if not (getattr(page, 'subfiletype', 0) or 0) & REDUCED_OR_MASK]
        page = tif.pages.first
        if page.subfiletype & REDUCED_OR_MASK:
            raise UserError(f'{path}: found a reduced image first, expected the image itself')
        _check_depth(path, int(np.max(page.bitspersample)), np.max(page.sampleformat))
        planes = len(pages) * getattr(page, 'imagedepth', 1)
        if tif.is_imagej or tif.is_shaped or tif.is_stk:  # planes that have no page of their own
            planes = max(planes, tif.series[0].size // max(page.size, 1))
        _check_pages(path, planes)
        orientation = page.tags.get(ORIENTATION)
        _check_orientation(path, orientation.value if orientation else 1)
        ends = np.add(page.dataoffsets, page.databytecounts)
        if not len(ends) or ends.max() > size:
            raise _cut(path, 'TIFF')
        return ImageHeader(page.imagelength, page.imagewidth, _choose_backend(path, page))


def _choose_backend(path: str, page: tifffile.TiffPage) -> str:
    """Refuse colours that nobody decodes; give the library that decodes the page as it is."""
    kind, samples = int(page.photometric), page.samplesperpixel
    alpha = page.extrasamples[0] if page.extrasamples else None
    has_alpha = alpha in (ASSOCIATED_ALPHA, UNASSOCIATED_ALPHA)
    colours = samples - len(page.extrasamples)
    known = ((kind in GREY and (samples == 1 or (samples == 2 and has_alpha)))
             or (kind in COLOUR and colours == 3 and samples <= 4)
             or (kind in ENCODED and samples <= 4))
    if not known:
        name = getattr(page.photometric, 'name', kind)
        raise UserError(
            f'{path}: found {samples} channels ({name}), expected grey values or RGB')
    if int(page.compression) not in OPENCV_COMPRESSIONS + PILLOW_COMPRESSIONS:
        raise UserError(f'{path}: found the compression {page.compression!r}, expected none, LZW, '
                        'Deflate, PackBits, JPEG, CCITT, LZMA, Zstandard or WebP')
    bits = int(np.max(page.bitspersample))
    if bits not in (1, 2, 4, 8) or (bits < 8 and samples > 1):
        raise UserError(f'{path}: found {bits} bits per channel and {samples} channels, expected 8')
    strange = (int(page.compression) in PILLOW_COMPRESSIONS
               or bits == 2 or (bits == 4 and kind in GREY)
               or (page.is_tiled and int(page.compression) == 1)  # OpenCV fails at small tiles
               or (kind in COLOUR and alpha == UNASSOCIATED_ALPHA))  # OpenCV multiplies by it
    return 'pillow' if strange else 'cv2'


def _read_other(path: str, file: BinaryIO, size: int) -> ImageHeader:
    with any_size(), Image.open(file) as image:
        check_pixels(path, image)
        if image.mode.startswith(DEEP_MODES):
            _check_depth(path, 16)
        _check_pages(path, getattr(image, 'n_frames', 1))
        _check_orientation(path, image.getexif().get(ORIENTATION, 1))
        if image.format in ('JPEG', 'MPO') and not _has_jpeg_end(file):
            raise _cut(path, 'JPEG')
        tile: Any = image.tile[0] if image.format == 'BMP' and image.tile else None
        if tile and tile[0] == 'raw':
            stride = tile[3][1]  # bytes a row
            if tile[2] + stride * image.height > size:
                raise _cut(path, 'BMP')
        return ImageHeader(image.height, image.width,
                           'cv2' if image.format in OPENCV_FORMATS else 'pillow')


def _has_jpeg_end(file: BinaryIO) -> bool:
    """Look for the end of the image behind its first scan: a preview in front has ends too."""
    file.seek(0)
    data = file.read()
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2:place + 4], 'big')
        if marker == 0xFF:  # fill byte
            place += 1
            continue
        place += 2 + length
        if marker == JPEG_START_OF_SCAN:
            break
    return data.find(JPEG_END, place) >= 0


def _check_depth(path: str, bits: int, sample_format: int = 1) -> None:
    # OpenCV would keep the upper 8 bits, where a camera of 12 leaves next to nothing.
    if bits > 8:
        raise UserError(f'{path}: found more than 8 bits per channel ({bits}), expected 8: scale '
                        'grey values to 0 to 255 first')
    if sample_format not in (1, 4):  # unsigned, or not said
        raise UserError(f'{path}: found signed values, expected grey values of 0 to 255')


def _check_pages(path: str, pages: int) -> None:
    if pages != 1:
        raise UserError(f'{path}: found {pages} pages or frames, expected one image a file')


def _check_orientation(path: str, orientation: int) -> None:
    if orientation != 1:
        raise UserError(f'{path}: found an orientation in its EXIF data ({orientation}), '
                        'expected pixels in the order of the image')


def _cut(path: str, kind: str) -> UserError:
    return UserError(f'{path}: the image is cut off, expected a whole {kind} file')

"""Images of a folder and their sizes, read from the headers alone."""
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from mmsart.utils.errors import MissingFileError, UserError

ORIENTATION = 0x112  # EXIF's tag
PNG_DEPTH = 24  # where a PNG file has its bits a channel
PNG_END = b'IEND\xaeB`\x82'
IMAGE_SUFFIXES = ('.png', '.tif', '.tiff', '.jpg', '.jpeg', '.bmp')


def list_images(
        folder: str | os.PathLike, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """List the images of a folder.

    Args:
        folder: where they are.
        suffixes: endings that count as images, in lower case.

    Returns:
        The files, sorted by name; no two of them have one name before the ending. Hidden files,
        such as a Mac's ``._a.png``, and folders are passed over.

    Raises:
        MissingFileError: there is no such folder.
        UserError: it holds no image, or two of one name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingFileError(f'{folder}: no such folder, expected images')
    paths = sorted(
        path for path in folder.iterdir()
        if path.suffix.lower() in suffixes and path.name[0] != '.' and not path.is_dir())
    if not paths:
        raise UserError(f'{folder}: no image, expected files ending in {", ".join(suffixes)}')
    by_stem: dict[str, Path] = {}
    for path in paths:
        other = by_stem.setdefault(path.stem, path)
        if other != path:
            raise UserError(f'{folder}: found {other.name} and {path.name}, expected one image of '
                            f'the id {path.stem}')
    return paths


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """Read the size of an image from the file's header.

    Args:
        path: the file.

    Returns:
        (h, w) in pixels.

    Raises:
        UserError: it is no image that can be read, a PNG file without its end, one with more than
            8 bits a channel, or one that is to be turned before it is shown.
    """
    try:
        with Image.open(path) as image:
            deep = image.mode.startswith(('I', 'F'))
            if image.format == 'PNG':
                with open(path, 'rb') as file:
                    deep |= file.read(PNG_DEPTH + 1)[PNG_DEPTH] > 8
                    if not _has_png_end(file):
                        raise UserError(f'{path}: the image is cut off, expected a whole PNG file')
            # OpenCV would keep the upper 8 bits, where a camera of 12 leaves next to nothing.
            if deep:
                raise UserError(f'{path}: found more than 8 bits a channel, expected 8: scale the '
                                'grey values to 0 to 255 first')
            # A PNG's would need the whole file; where it swaps the sides, loading finds out.
            turned = image.format != 'PNG' and image.getexif().get(ORIENTATION, 1) != 1
            if turned:
                raise UserError(f'{path}: found an orientation in its EXIF data, expected pixels '
                                'in the order of the image')
            return image.height, image.width
    except (OSError, Image.DecompressionBombError) as error:  # OSError: PIL knows no such format
        raise UserError(
            f'{path}: not a readable image, expected {Path(path).suffix} data') from error


def _has_png_end(file: BinaryIO) -> bool:
    file.seek(-len(PNG_END), os.SEEK_END)
    if file.read() == PNG_END:
        return True
    file.seek(0)  # some programs write data of their own behind it
    return PNG_END in file.read()

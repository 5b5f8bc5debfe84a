"""Images of a folder and their sizes, read from the headers alone."""
import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from mmsart.utils.errors import MissingFileError, UserError

IMAGE_SUFFIXES = ('.png', '.tif', '.tiff', '.jpg', '.jpeg', '.bmp')


def list_images(
        folder: str | os.PathLike, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """List the images of a folder.

    Args:
        folder: where they are.
        suffixes: endings that count as images, in lower case.

    Returns:
        The files, sorted by name; no two of them have one name before the ending.

    Raises:
        MissingFileError: there is no such folder.
        UserError: it holds no image, or two of one name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingFileError(f'{folder}: no such folder, expected images')
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)
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
        UserError: it is no image that can be read, or a PNG file without its end.
    """
    try:
        with Image.open(path) as image, open(path, 'rb') as file:
            file.seek(-min(12, os.path.getsize(path)), os.SEEK_END)
            if image.format == 'PNG' and b'IEND' not in file.read():
                raise UserError(f'{path}: the image is cut off, expected a whole PNG file')
            return image.height, image.width
    except OSError as error:  # also what PIL raises where it knows no format
        raise UserError(
            f'{path}: not a readable image, expected {Path(path).suffix} data') from error

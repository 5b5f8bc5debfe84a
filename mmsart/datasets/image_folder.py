"""Images of a folder and their sizes, read from the headers alone."""
import os
from collections.abc import Iterable, Sequence, Set
from pathlib import Path

from mmsart.datasets.image_file import read_header
from mmsart.utils.errors import UserError, missing, named

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
        raise missing(folder, 'images', 'folder')
    paths = sorted(
        path for path in folder.iterdir()
        if path.suffix.lower() in suffixes and path.name[0] != '.' and not path.is_dir())
    if not paths:
        below = sorted({path.parent.name for path in folder.glob('*/*')
                        if path.suffix.lower() in suffixes and path.name[0] != '.'})
        raise UserError(
            f'{folder}: no image, expected files ending in {", ".join(suffixes)}'
            + (f'; there are some in the folders below: {named(below[:3])}' if below else ''))
    by_stem: dict[str, Path] = {}
    for path in paths:
        other = by_stem.setdefault(path.stem, path)
        if other != path:
            raise UserError(f'{folder}: found {other.name} and {path.name}, expected one image of '
                            f'the id {path.stem}')
    return paths


def find_images(folder: str | os.PathLike, names: Iterable[str]) -> dict[str, Path]:
    """Find images by the names that data sets give them.

    Args:
        folder: where they are, or with folders in front of their names, below it, as those of
            :func:`mmsart.structures.data_samples.distinct_names`.
        names: of the images.

    Returns:
        The files by name, without those of which there is none, or below the folder several.

    Raises:
        MissingFileError: there is no such folder.
        UserError: neither an image of it nor one below has such a name, and it holds no image
            itself, or two of one name.
    """
    names = set(names)
    problem = None
    try:
        here = {path.stem: path for path in list_images(folder)}
    except UserError as error:
        here, problem = {}, error
    found = {name: here[name] for name in names & here.keys()}
    below = _find_below(Path(folder), names - here.keys())
    found |= {name: paths[0] for name, paths in below.items() if len(paths) == 1}
    if problem and not found:
        raise problem
    return found


def _find_below(folder: Path, names: Set[str]) -> dict[str, list[Path]]:
    """List the images below a folder that have one of the names, with any of their folders."""
    below: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob('*.*')) if names else ():
        *folders, _ = path.relative_to(folder).parts
        if folders and path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != '.':
            for depth in range(len(folders) + 1):
                name = '_'.join([*folders[len(folders) - depth:], path.stem])
                if name in names:
                    below.setdefault(name, []).append(path)
    return below


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """Read the size of an image from the file's header.

    Args:
        path: the file.

    Returns:
        (h, w) in pixels.

    Raises:
        MissingFileError: there is no such file.
        UserError: it is no image that can be loaded as it is; see
            :func:`mmsart.datasets.image_file.read_header`.
    """
    header = read_header(path)
    return header.height, header.width

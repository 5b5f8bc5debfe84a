"""The images that files, folders and patterns stand for."""
from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmsart.imaging.readers import IMAGE_SUFFIXES, count_series
from mmsart.imaging.stack import image_id
from mmsart.utils import MissingFileError, UserError, missing, readable

LONGEST_STEM = 200  # bytes, of the 255 that a file's name may have


@dataclass(frozen=True)
class InputImage:
    """One image to look at.

    Attributes:
        path: its file.
        name: what tables call it: the path below the folder that was given, and of a file with
            several images ``#`` and the number.
        stem: how the files of its results begin, below the folder of results.
        series: number of the image in its file; None where the file holds one.
    """

    path: Path
    name: str
    stem: str
    series: int | None = None


def find_inputs(
        inputs: Sequence[str | os.PathLike], recursive: bool = False,
        exclude: str | os.PathLike | None = None) -> list[InputImage]:
    """List images.

    Args:
        inputs: files, folders, or patterns with ``*``, ``?`` and ``[...]``; ``**`` stands for
            folders at any depth.
        recursive: also look into the folders of folders.
        exclude: a folder to pass over: that of the results.

    Returns:
        The images in the order of `inputs`, in folders by name, each once. Names that differ in
        nothing but their ending keep it in their stem, as ``a_png`` and ``a_tif``; very long ones
        are cut there.

    Raises:
        MissingFileError: there is no such file or folder, or no image in it.
        UserError: files of different folders have one name.
    """
    found: dict[Path, str] = {}
    for given in inputs:
        listed = list(_list(given, recursive, Path(exclude) if exclude else None))
        if not listed:
            raise MissingFileError(
                f'{given}: found no image, expected files ending in {", ".join(IMAGE_SUFFIXES)}')
        for path, name in listed:
            found.setdefault(path, readable(name))
    by_name: dict[str, Path] = {}
    for path, name in found.items():
        if (other := by_name.setdefault(name, path)) != path:
            raise UserError(f'{path}: found {other} too, expected names that differ: give the '
                            'folder of both with --recursive')
    stems = [_stem(name) for name in found.values()]
    twice = {stem for stem in stems if stems.count(stem) > 1} if len(set(stems)) < len(stems) \
        else set()
    return [InputImage(path, name, _stem_with_ending(name) if stem in twice else stem)
            for (path, name), stem in zip(found.items(), stems, strict=True)]


def with_series(image: InputImage) -> list[InputImage]:
    """List each image of a file that holds several as an entry of its own.

    Args:
        image: a file.

    Returns:
        One entry an image of the file; a file that cannot be read keeps its own, so that the
        error comes in its turn.
    """
    try:
        count = count_series(image.path)
    except (UserError, OSError):
        return [image]
    if count == 1:
        return [image]
    width = len(str(count - 1))
    return [InputImage(image.path, f'{image.name}#{number}', f'{image.stem}_s{number:0{width}d}',
                       number) for number in range(count)]


def _list(given: str | os.PathLike, recursive: bool,
          exclude: Path | None) -> Iterator[tuple[Path, str]]:
    """Yield files with the names that they go by."""
    path = Path(given)
    if path.is_file():
        yield path, path.name
    elif path.is_dir():
        for file in _walk(path, recursive, exclude):
            yield file, file.relative_to(path).as_posix()
    elif glob.has_magic(str(given)):
        yield from _match(Path(str(given)))
    else:
        raise missing(given, 'images', 'file or folder')


def _match(pattern: Path) -> Iterator[tuple[Path, str]]:
    """Yield the images that a pattern stands for, with their paths below its fixed part."""
    parts = pattern.parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:fixed])
    # Python's versions differ in what ** in a part of a name or at the end means.
    wild = [part if part == '**' else re.sub(r'\*+', '*', part) for part in parts[fixed:]]
    wild += ['*'] if wild[-1] == '**' else []
    found = sorted(root.glob('/'.join(wild)))  # unlike glob's own, this ** follows no links
    asked = any(part.startswith('.') for part in wild)
    for file in found:
        below = file.relative_to(root)
        hidden = any(part.startswith('.') for part in below.parts)
        if _is_image(file) and (asked or not hidden) and not file.is_dir():
            yield file, below.as_posix()


def _walk(folder: Path, recursive: bool, exclude: Path | None,
          above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    above |= {folder.resolve()}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith('.') or (exclude is not None and _same(entry, exclude)):
            continue
        if entry.is_dir():
            if recursive and entry.resolve() not in above:  # a link may lead back
                yield from _walk(entry, recursive, exclude, above)
        elif _is_image(entry):
            yield entry


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _same(path: Path, other: Path) -> bool:
    return path.resolve() == other.resolve()


def _stem(name: str) -> str:
    """Return how results begin; what would leave no room for their endings is cut and hashed."""
    own = image_id(name)
    if len(os.fsencode(own)) > LONGEST_STEM:
        own = own[:LONGEST_STEM // 4] + '_' + hashlib.sha256(name.encode()).hexdigest()[:12]
    return str(Path(name).parent / own)


def _stem_with_ending(name: str) -> str:
    return f'{_stem(name)}_{Path(name).suffix[1:]}'

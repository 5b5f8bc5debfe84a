"""The images that files, folders and patterns stand for."""
from __future__ import annotations

import glob
import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmsart.imaging.ids import image_id
from mmsart.imaging.readers import IMAGE_SUFFIXES, count_series
from mmsart.imaging.tiff import other_files
from mmsart.utils import MissingFileError, UserError, missing, readable

LONGEST_STEM = 200  # bytes, of the 255 that a file's name may have
FRAMES = (r'_t\d{2,}$', r'_z\d{2,}$', r'_t\d{2,}_z\d{2,}$')  # as those of a stack are numbered


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
        exclude: a folder that folders and patterns pass over: that of the results.

    Returns:
        The images in the order of `inputs`, in folders by name, each once; where OME-TIFF spreads
        one over several files, the first of them. Names that differ in nothing but their ending
        keep it in their stem, as ``a_png`` and ``a_tif``; very long ones are cut there. No two
        stems are the same, not even on a disk for which ``A`` and ``a`` are, and none is that of a
        frame of another image, were it a stack.

    Raises:
        MissingFileError: there is no such file or folder, or no image in it.
        UserError: files of different folders have one name, or `exclude` is a folder to look into.
    """
    found: dict[str, tuple[Path, str]] = {}
    for given in inputs:
        listed = list(_list(given, recursive, Path(exclude) if exclude else None))
        if not listed:
            raise MissingFileError(
                f'{given}: found no image, expected files ending in {", ".join(IMAGE_SUFFIXES)}')
        for path, name in listed:
            found.setdefault(_place(path), (path, readable(name)))
    by_name: dict[str, Path] = {}
    for path, name in found.values():
        if (other := by_name.setdefault(name, path)) != path:
            raise UserError(f'{path}: found {other} too, expected names that differ: give the '
                            'folder of both with --recursive')
    parts = _parts_of_sets(by_name.values())
    by_name = {name: path for name, path in by_name.items() if _place(path) not in parts}
    stems = distinct_stems(list(by_name))
    return [InputImage(path, name, stem)
            for (name, path), stem in zip(by_name.items(), stems, strict=True)]


def distinct_stems(names: Sequence[str]) -> list[str]:
    """Name the results of images after these.

    Args:
        names: of images, with their folders; no two are the same.

    Returns:
        A stem each, see :func:`find_inputs`.
    """
    images = [InputImage(Path(name), name, _stem(name)) for name in names]
    images = _tell_apart(_tell_apart(images, _stem_with_ending), _stem_with_hash)
    return [image.stem for image in images]


def with_series(images: Sequence[InputImage]) -> list[InputImage]:
    """List each image of files that hold several as an entry of its own.

    Args:
        images: files.

    Returns:
        One entry an image of each file, no two of one stem; a file that cannot be read keeps its
        own, so that the error comes in its turn.
    """
    return _tell_apart([each for image in images for each in _series(image)], _stem_with_hash)


def name_key(name: str) -> str:
    """Return what is the same for names that some disks take for one.

    Args:
        name: of a file, or how it begins.

    Returns:
        It without the difference of capitals, and of ways to write an accent.
    """
    return unicodedata.normalize('NFC', name).casefold()


def _series(image: InputImage) -> list[InputImage]:
    try:
        count = count_series(image.path)
    except (UserError, OSError):
        return [image]
    if count == 1:
        return [image]
    width = len(str(count - 1))
    return [InputImage(image.path, f'{image.name}#{number}', f'{image.stem}_s{number:0{width}d}',
                       number) for number in range(count)]


def _tell_apart(images: list[InputImage],
                rename: Callable[[InputImage], str]) -> list[InputImage]:
    """Give images another stem whose own is that of others, or of what may be their frame."""
    counts = Counter(name_key(image.stem) for image in images)

    def is_taken(stem: str) -> bool:
        stacks = {re.sub(frame, '', stem) for frame in FRAMES} - {stem}
        return counts[stem] > 1 or any(counts[stack] for stack in stacks)

    return [replace(image, stem=rename(image)) if is_taken(name_key(image.stem)) else image
            for image in images]


def _parts_of_sets(files: Iterable[Path]) -> set[str]:
    """Find the places of files for which another one stands: the first of the same image."""
    parts: set[str] = set()
    for path in files:
        if '.ome.' in path.name.lower() and _place(path) not in parts:  # as OME's files end
            parts.update(_place(Path(other)) for other in other_files(path))
    return parts


def _list(given: str | os.PathLike, recursive: bool,
          exclude: Path | None) -> Iterator[tuple[Path, str]]:
    """Yield files with the names that they go by."""
    path = Path(given)
    if path.is_file():
        yield path, path.name
    elif path.is_dir():
        for file in _walk(path, recursive, _exclude_below(path, exclude)):
            yield file, file.relative_to(path).as_posix()
    elif glob.has_magic(str(given)):
        yield from _match(Path(str(given)), exclude)
    else:
        raise missing(given, 'images', 'file or folder')


def _exclude_below(folder: Path, exclude: Path | None) -> Path | None:
    """Return what to pass over in a folder: nothing where it lies in the folder of results.

    Raises:
        UserError: they are one, so that results would be taken for images the next time.
    """
    if exclude is None or not _is_in(folder, exclude):
        return exclude
    if _same(folder, exclude):
        raise UserError(f'{exclude}: found the folder of the images to look at, expected another '
                        'one for the results')
    return None


def _match(pattern: Path, exclude: Path | None) -> Iterator[tuple[Path, str]]:
    """Yield the images that a pattern stands for, with their paths below its fixed part."""
    parts = pattern.parts
    # A name with brackets is a folder first, where there is one.
    fixed = next((i for i, part in enumerate(parts)
                  if glob.has_magic(part) and not Path(*parts[:i + 1]).exists()), len(parts) - 1)
    root = Path(*parts[:fixed])
    exclude = _exclude_below(root, exclude)
    # Python's versions differ in what ** in a part of a name or at the end means.
    wild = [part if part == '**' else re.sub(r'\*+', '*', part) for part in parts[fixed:]]
    wild += ['*'] if wild[-1] == '**' else []
    found = sorted(root.glob('/'.join(wild)))  # unlike glob's own, this ** follows no links
    asked = any(part.startswith('.') for part in wild)
    for file in found:
        below = file.relative_to(root)
        hidden = any(part.startswith('.') for part in below.parts)
        if (_is_image(file) and (asked or not hidden) and not file.is_dir()
                and not (exclude is not None and _is_in(file.parent, exclude))):
            yield file, below.as_posix()


def _walk(folder: Path, recursive: bool, exclude: Path | None,
          above: frozenset[str] = frozenset()) -> Iterator[Path]:
    above |= {os.path.realpath(folder)}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith('.'):
            continue
        if entry.is_dir():
            results = exclude is not None and _is_in(entry, exclude)
            back = os.path.realpath(entry) in above  # as a link may lead
            if recursive and not results and not back:
                yield from _walk(entry, recursive, exclude, above)
        elif _is_image(entry):
            yield entry


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _place(path: Path) -> str:
    """Return one text for all ways to a file; two links to it are two files."""
    return os.path.join(os.path.realpath(path.parent), path.name)


def _same(path: Path, other: Path) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


def _is_in(path: Path, folder: Path) -> bool:
    # Unlike Path.resolve, this raises nothing where links go round.
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _stem(name: str) -> str:
    """Return how results begin; what would leave no room for their endings is cut and hashed."""
    own = image_id(name)
    if len(os.fsencode(own)) > LONGEST_STEM:
        own = own[:LONGEST_STEM // 4] + '_' + _hash(name)
    return str(Path(name).parent / own)


def _stem_with_ending(image: InputImage) -> str:
    base = os.path.basename(image.name)
    return image.stem + base[len(image_id(base)):].replace('.', '_')


def _stem_with_hash(image: InputImage) -> str:
    """Return the stem of an image of whose name, such as ``a_png.jpg``, another's is made."""
    return f'{image.stem}_{_hash(image.name)}'


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:12]

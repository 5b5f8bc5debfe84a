"""Pictures and their label images, as Cellpose and StarDist keep them, made a COCO data set."""
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from mmsart.datasets.image_folder import image_size, list_images
from mmsart.formats.coco import mask_records
from mmsart.formats.label_image import find_masks, read_numbers
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.utils import UserError, named, raise_all

LABEL_SUFFIXES = ('.png', '.tif', '.tiff')
ENDINGS = ('_cp_masks', '_masks', '_mask', '_labels', '_label')
"""What a label image's name has behind that of its picture, besides nothing."""

SPECK = 10  # pixels: what is smaller is no cell, but what a brush left
MANY_PIECES = 10
HIGHEST = ([255], [65_535])  # of 8 and 16 bits, which stand for "inside"


def pair_label_images(
        images: str | os.PathLike, labels: str | os.PathLike) -> list[tuple[Path, Path]]:
    """Find the label image of each picture by its name.

    Args:
        images: folder of pictures.
        labels: folder of label images, which are called as the pictures or end in one of
            :data:`ENDINGS` before the suffix; it may be the same folder, where they have to.

    Returns:
        Pictures and label images, in the order of their names. A warning names the pictures that
        have none.

    Raises:
        MissingFileError: a folder is missing.
        UserError: a label image has no picture, a picture has two, or no picture has one.
    """
    if Path(images).is_dir() and Path(labels).is_dir() and os.path.samefile(images, labels):
        paths = list_images(images)
        pictures = {path.stem: path for path in paths if _base(path.stem) == path.stem}
        found = [path for path in paths if path.stem not in pictures]
    else:
        pictures = {path.stem: path for path in list_images(images)}
        found = list_images(labels, LABEL_SUFFIXES)
    pairs: dict[str, Path] = {}
    errors = []
    for path in found:
        stem = path.stem if path.stem in pictures else _base(path.stem)
        if stem not in pictures:
            errors.append(UserError(f'{path}: found no picture {stem} in {images}, expected one'))
        elif stem in pairs:
            errors.append(UserError(f'{path}: found {pairs[stem].name} too, expected one label '
                                    f'image of {pictures[stem].name}'))
        else:
            pairs[stem] = path
    raise_all(errors)
    if not pairs:
        raise UserError(f'{labels}: found no label image, expected files called as the pictures, '
                        f'or with {", ".join(ENDINGS)} behind the name')
    alone = [path.name for stem, path in pictures.items() if stem not in pairs]
    if alone:
        warnings.warn(f'{images}: left out, without a label image: '
                      f'{named(alone)}', stacklevel=2)
    return [(pictures[stem], pairs[stem]) for stem in sorted(pairs)]


def to_coco_dataset(pairs: Sequence[tuple[Path, Path]], class_name: str = 'cell') -> dict[str, Any]:
    """Make a COCO data set of pictures and their label images.

    Args:
        pairs: of :func:`pair_label_images`.
        class_name: of all cells.

    Returns:
        ``images``, named without their folder, ``annotations`` with run-length codes, and one of
        ``categories``.

    Raises:
        UserError: a picture cannot be trained on as it is, or a label image is none, of another
            size, or a mask of all cells at once; all of them are named.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    errors = []
    for number, (picture, labels) in enumerate(pairs, start=1):
        try:
            masks = _read_masks(picture, labels)
        except UserError as error:
            errors.append(error)
            continue
        images.append(dict(
            id=number, file_name=picture.name, height=masks.height, width=masks.width))
        annotations += [
            dict(id=each, image_id=number, category_id=1, **record)
            for each, (_, record) in enumerate(mask_records(masks), start=len(annotations) + 1)]
    raise_all(errors)
    return dict(images=images, annotations=annotations,
                categories=[dict(id=1, name=class_name, supercategory='cell')])


def _read_masks(picture: Path, labels: Path) -> PatchMasks:
    size = image_size(picture)
    frames = read_numbers(labels)
    if len(frames) != 1:
        raise UserError(f'{labels}: found {len(frames)} pages, expected one')
    pixels, = frames.values()
    if pixels.shape != size:
        raise UserError(f'{labels}: found {pixels.shape[0]} x {pixels.shape[1]} pixels (height x '
                        f'width), expected {size[0]} x {size[1]} as in {picture.name}')
    numbers, masks = find_masks(pixels)
    _check_one_cell_each(labels, numbers.tolist(), masks, bool((pixels <= 0).any()))
    return masks


def _check_one_cell_each(
        path: Path, numbers: list[int], masks: PatchMasks, has_background: bool) -> None:
    """Refuse an image whose numbers tell cells from background, but not from each other.

    A few cells in pieces are let through: at least half of the numbers have to be shattered, as
    one of two is where background has a number too. What cannot be told from one cell in pieces is
    warned of.

    Raises:
        UserError: the line says what to do.
    """
    found = ' and '.join(map(str, [0] * has_background + numbers[:2]))
    if numbers in HIGHEST or (not has_background and len(numbers) <= 2):
        raise _no_label_image(path, f'{found} alone')
    pieces = [_piece_areas(masks.patch(i)) for i in range(len(masks))]
    shattered = [i for i, areas in enumerate(pieces) if _is_shattered(areas)]
    if shattered and 2 * len(shattered) >= len(masks):
        worst = max(shattered, key=lambda i: len(pieces[i]))
        raise _no_label_image(path, f'{len(pieces[worst])} pieces of the number {numbers[worst]}')
    if len(masks) == 1 and len(pieces[0]) > 1:
        warnings.warn(f'{path}: found {found} alone, in {len(pieces[0])} pieces that are taken for '
                      'one cell', stacklevel=2)


def _no_label_image(path: Path, found: str) -> UserError:
    return UserError(f'{path}: found {found}, which do not tell cells from each other, expected a '
                     'number for each cell: number connected parts first, as '
                     'skimage.measure.label does')


def _piece_areas(patch: np.ndarray) -> np.ndarray:
    """Count the pixels of the pieces of a mask, which hang together by corners too."""
    labels, _ = ndimage.label(patch, np.ones((3, 3)))
    areas = np.bincount(labels.ravel())[1:]
    return areas[areas >= SPECK]


def _is_shattered(areas: np.ndarray) -> bool:
    """Whether pieces are too many for a cell, or several of which none is its main part."""
    return len(areas) >= MANY_PIECES or (len(areas) > 2 and 2 * areas.max() < areas.sum())


def _base(stem: str) -> str:
    """Return a label image's name without its ending."""
    return next((stem.removesuffix(ending) for ending in ENDINGS if stem.endswith(ending)), stem)

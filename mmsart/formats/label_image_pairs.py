"""Pictures and their label images, as Cellpose and StarDist keep them, made a COCO data set."""
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmsart.datasets.image_folder import image_size, list_images
from mmsart.formats.coco import mask_records
from mmsart.formats.label_image import read_label_image
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.utils import UserError, named, raise_all

LABEL_SUFFIXES = ('.png', '.tif', '.tiff')
ENDINGS = ('_cp_masks', '_masks', '_mask', '_labels', '_label')
"""What a label image's name has behind that of its picture, besides nothing."""


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
    frames = read_label_image(labels)
    if len(frames) != 1:
        raise UserError(f'{labels}: found {len(frames)} pages, expected one')
    masks, = frames.values()
    if (masks.height, masks.width) != size:
        raise UserError(f'{labels}: found {masks.height} x {masks.width} pixels (height x width), '
                        f'expected {size[0]} x {size[1]} as in {picture.name}')
    if len(masks) == 255 and np.count_nonzero(masks.areas) == 1:
        raise UserError(f'{labels}: found 0 and 255 alone, which do not tell cells from each '
                        'other, expected a number for each cell')
    return masks


def _base(stem: str) -> str:
    """Return a label image's name without its ending."""
    return next((stem.removesuffix(ending) for ending in ENDINGS if stem.endswith(ending)), stem)

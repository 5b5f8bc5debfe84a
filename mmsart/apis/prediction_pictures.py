"""Pictures of predictions beside the truth: the best, the middle and the worst images."""
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmsart.datasets.image_file import read_grey
from mmsart.datasets.image_folder import find_images
from mmsart.evaluation.functional import IOU_THRS, mask_ious, match_pairs, score_image
from mmsart.postprocessing import PostProcessor
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.predictions import Predictions
from mmsart.utils import (
    IncompleteError,
    MissingFileError,
    UserError,
    check_apart,
    check_writable,
    raise_all,
)
from mmsart.utils.pictures import write_picture
from mmsart.visualization.draw import draw_comparison, draw_instances

LARGEST_SCALE = 16  # 16 x 704 pixels and their twin beside; OpenCV ends at 32,767


def write_pictures(images: Sequence[Predictions], classes: Sequence[str],
                   folder: str | os.PathLike, out: str | os.PathLike, settings: dict[str, Any],
                   every: bool = False, scale: int = 1) -> list[Path]:
    """Draw predictions after post-processing.

    Args:
        images: predictions; where the truth is known it is drawn to their left.
        classes: names in label order.
        folder: where the images are, as ``<img_id>.png`` or of another common ending; or, with
            folders in front of their names as those of a COCO file may have, below it:
            ``plate_well`` is ``plate/well.png``.
        out: folder for the pictures; made if it is missing.
        settings: of :class:`mmsart.postprocessing.PostProcessor`.
        every: draw all images; otherwise the best, the middle and the worst of those with truth,
            or of all where none has any.
        scale: magnification, a whole number.

    Returns:
        The files, best image first.

    Raises:
        MissingFileError: the only image to draw is not there.
        IncompleteError: images are not there or cannot be read; the others are drawn.
        UserError: there is nothing to draw, or `out` cannot be written or is `folder`.
    """
    if not images:
        raise UserError('no predictions, expected at least one image')
    if not 1 <= scale <= LARGEST_SCALE:
        raise UserError(f'scale: found {scale}, expected a whole number from 1 to {LARGEST_SCALE}')
    files = find_images(folder, [image.img_id for image in images])
    check_apart(out, [folder, *{path.parent for path in files.values()}], 'folder')
    process = PostProcessor(classes, **settings)
    entries = []
    for image in images:
        masks = process(image.detections).masks
        score = (float(score_image(masks.to_runs(), image.truth.to_runs()).precision.mean())
                 if image.truth is not None else None)
        entries.append((score, image, masks))
    entries.sort(key=lambda entry: 1.0 if entry[0] is None else -entry[0])
    if not every:
        entries = [entry for entry in entries if entry[0] is not None] or entries
        chosen = sorted({0, len(entries) // 2, len(entries) - 1})
        entries = [entries[index] for index in chosen]
    errors: list[UserError] = [
        MissingFileError(
            f'{folder}: image {image.img_id} is missing, expected all that were predicted')
        for _, image, _ in entries if image.img_id not in files]
    if len(errors) == len(entries):
        raise_all(errors)
    target = check_writable(out)
    paths = []
    for rank, (score, image, masks) in enumerate(entries):
        if image.img_id not in files:
            continue
        try:
            paths.append(_write(score, image, masks, files[image.img_id], target, rank, scale))
        except UserError as error:
            errors.append(error)
    if not paths:
        raise_all(errors)
    if errors:
        incomplete = IncompleteError(*map(str, errors))
        incomplete.done = tuple(map(str, paths))
        raise incomplete
    return paths


def _write(score: float | None, image: Predictions, masks: PatchMasks, path: Path,
           target: Path, rank: int, scale: int) -> Path:
    pixels = read_grey(path, image.size)
    if score is None:
        picture = draw_instances(pixels, masks, scale=scale)
        name = f'{image.img_id}.png'
    else:
        assert image.truth is not None, 'a score comes from the truth'
        rows, columns = match_pairs(
            mask_ious(masks.to_runs(), image.truth.to_runs()), IOU_THRS[0])
        picture = draw_comparison(pixels, image.truth, masks,
                                  np.isin(np.arange(len(image.truth)), columns),
                                  np.isin(np.arange(len(masks)), rows), scale=scale,
                                  caption=f'{image.cell_type} mAP {score:.3f}')
        name = f'{rank:03d}_{score:.3f}_{image.img_id}.png'
    write_picture(target / name, picture)
    return target / name

"""Files of predictions, several to one."""
import os
from collections.abc import Sequence
from dataclasses import replace

from mmsart.formats.predictions import SavedPredictions, load_predictions, save_predictions
from mmsart.postprocessing.fusion import FUSE_IOU, fuse_detections
from mmsart.structures.predictions import Predictions
from mmsart.utils import UserError


def fuse_predictions(paths: Sequence[str | os.PathLike], out: str | os.PathLike,
                     shares: Sequence[float] | None = None, iou_thr: float = FUSE_IOU) -> int:
    """Fuse what several models found in the same images.

    Args:
        paths: files of predictions with soft masks, one per model.
        out: the file to write.
        shares: weights of the models, above 0; None for equal ones.
        iou_thr: see :func:`~mmsart.postprocessing.fusion.fuse_detections`.

    Returns:
        How many images there are.

    Raises:
        UserError: the files are not of the same images and classes, or lack soft masks.
    """
    files = _load(paths)
    by_name = [{image.img_id: image for image in each.images} for each in files]
    for path, images in zip(paths, by_name, strict=True):
        other = images.keys() ^ by_name[0].keys()
        if other:
            raise UserError(f'{path}: image {min(other)} is in it or in {paths[0]} alone, expected '
                            'the same images in each; --join is for different ones')
    fused = (_fuse_image(paths, [images[name] for images in by_name], shares, iou_thr)
             for name in by_name[0])
    save_predictions(out, fused, files[0].classes, files[0].postprocess)
    return len(by_name[0])


def join_predictions(paths: Sequence[str | os.PathLike], out: str | os.PathLike) -> int:
    """Put the predictions of different images together, such as those of the folds' validations.

    Args:
        paths: files of predictions.
        out: the file to write.

    Returns:
        How many images there are.

    Raises:
        UserError: an image is in two files, or their classes differ.
    """
    files = _load(paths)
    where: dict[str, str | os.PathLike] = {}
    for path, each in zip(paths, files, strict=True):
        for image in each.images:
            if image.img_id in where:
                raise UserError(f'{path}: image {image.img_id} is in {where[image.img_id]} too, '
                                'expected each image once')
            where[image.img_id] = path
    images = sorted((image for each in files for image in each.images),
                    key=lambda image: image.img_id)
    save_predictions(out, images, files[0].classes, files[0].postprocess)
    return len(images)


def _load(paths: Sequence[str | os.PathLike]) -> list[SavedPredictions]:
    files = [load_predictions(path) for path in paths]
    for path, each in zip(paths, files, strict=True):
        if each.classes != files[0].classes:
            raise UserError(f'{path}: found classes {", ".join(each.classes)}, expected '
                            f'{", ".join(files[0].classes)} as in {paths[0]}')
    return files


def _fuse_image(paths: Sequence[str | os.PathLike], images: Sequence[Predictions],
                shares: Sequence[float] | None, iou_thr: float) -> Predictions:
    codes = [None if image.truth is None else image.truth.to_rles() for image in images]
    for path, image, code in zip(paths, images, codes, strict=True):
        if image.size != images[0].size or code != codes[0]:
            raise UserError(f'{path}: image {image.img_id}: found another size or truth than in '
                            f'{paths[0]}, expected the same')
        if image.detections.mask_probs is None:
            raise UserError(f'{path}: image {image.img_id}: no soft masks, expected predictions of '
                            'a test with model.test_cfg.rcnn.keep_mask_logits=True')
    found = fuse_detections([image.detections for image in images], shares, iou_thr)
    return replace(images[0], detections=found)

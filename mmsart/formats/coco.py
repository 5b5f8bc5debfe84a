"""Cells as COCO's annotations and results."""
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mmsart.structures.image_result import FrameResult, ImageResult
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.utils import UserError, atomic_write


def to_coco(results: Sequence[ImageResult]) -> dict[str, Any]:
    """Make a COCO data set of images and their cells.

    Args:
        results: what was found in each image; they have the same classes.

    Returns:
        ``images``, ``annotations`` and ``categories``. A frame is an image; those of a stack
        share their ``file_name`` and have ``t`` and ``z``. Masks are compressed run-length codes,
        so overlaps, holes and pieces are kept; each annotation has its ``score`` and the
        ``label`` that the cell has in other files. Categories count from 1.

    Raises:
        ValueError: results differ in their classes.
    """
    classes = {tuple(result.classes) for result in results}
    if len(classes) != 1:
        raise ValueError(f'results of classes {sorted(classes)}, expected the same for all')
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for result in results:
        for frame in result.frames:
            image_id = len(images) + 1
            images.append(_image(image_id, frame, result))
            annotations += _annotations(image_id, len(annotations) + 1, frame)
    categories = [dict(id=number, name=name, supercategory='cell')
                  for number, name in enumerate(classes.pop(), start=1)]
    return dict(images=images, annotations=annotations, categories=categories)


def to_coco_results(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Reduce a data set to COCO's results, as its evaluation takes them.

    Args:
        data: of :func:`to_coco`.

    Returns:
        ``image_id``, ``category_id``, ``segmentation``, ``bbox`` and ``score`` of each cell.
    """
    return [{key: annotation[key]
             for key in ('image_id', 'category_id', 'segmentation', 'bbox', 'score')}
            for annotation in data['annotations']]


def write_coco(path: str | os.PathLike, result: ImageResult) -> None:
    """Write the cells of one image as a COCO data set.

    Args:
        path: the file to write.
        result: what was found.
    """
    write_json(path, to_coco([result]))


def merge_coco(paths: Iterable[str | os.PathLike], path: str | os.PathLike,
               results_path: str | os.PathLike | None = None) -> None:
    """Join the files of several images into one data set, with new ids.

    Args:
        paths: files of :func:`write_coco`.
        path: the data set to write.
        results_path: also write COCO's results there, with the ids of the data set.

    Raises:
        UserError: a file is none of :func:`write_coco`, or two have other categories.
    """
    whole: dict[str, Any] = dict(images=[], annotations=[], categories=None)
    for part_path in paths:
        part = _read(part_path)
        if whole['categories'] not in (None, part['categories']):
            raise UserError(f'{part_path}: found categories {part["categories"]}, expected '
                            f'{whole["categories"]} as in the files before')
        whole['categories'] = part['categories']
        first_image, first_annotation = len(whole['images']), len(whole['annotations'])
        for image in part['images']:
            whole['images'].append(image | dict(id=image['id'] + first_image))
        for annotation in part['annotations']:
            whole['annotations'].append(annotation | dict(
                id=annotation['id'] + first_annotation,
                image_id=annotation['image_id'] + first_image))
    whole['categories'] = whole['categories'] or []
    write_json(path, whole)
    if results_path is not None:
        write_json(results_path, to_coco_results(whole))


def _image(image_id: int, frame: FrameResult, result: ImageResult) -> dict[str, Any]:
    height, width = frame.size
    image = dict(id=image_id, file_name=result.name, height=height, width=width)
    if result.stack_size != (1, 1):
        image |= dict(t=frame.t, z=frame.z)
    return image


def _annotations(image_id: int, first_id: int, frame: FrameResult) -> list[dict[str, Any]]:
    """List the cells of a frame; masks without pixels are left out."""
    cells = frame.detections
    return [
        dict(id=number, image_id=image_id, category_id=int(cells.labels[index]) + 1, **record,
             score=round(float(cells.scores[index]), 6), label=index + 1)
        for number, (index, record) in enumerate(mask_records(cells.masks), start=first_id)]


def mask_records(masks: PatchMasks) -> Iterator[tuple[int, dict[str, Any]]]:
    """Describe masks as COCO's annotations do.

    Args:
        masks: of an image; those without pixels are left out.

    Yields:
        The number of a mask, from 0, and its ``segmentation`` (a compressed run-length code),
        ``area``, ``bbox`` and ``iscrowd``.
    """
    areas, rles = masks.areas.tolist(), masks.to_coco()
    for index in np.flatnonzero(areas).tolist():
        yield index, dict(
            segmentation=rles[index] | dict(counts=rles[index]['counts'].decode('ascii')),
            area=areas[index], bbox=coco_mask.toBbox(rles[index]).tolist(), iscrowd=0)


def _read(path: str | os.PathLike) -> dict[str, Any]:
    """Read a data set and check that it has the parts of one."""
    try:
        data = json.loads(Path(path).read_text(encoding='utf-8'))
        found = sorted(data)
    except (ValueError, TypeError) as error:
        raise UserError(f'{path}: not a JSON object: {error}') from error
    if found != ['annotations', 'categories', 'images']:
        raise UserError(f'{path}: found {", ".join(found)[:80] or "nothing"}, expected images, '
                        'annotations and categories')
    return data


def write_json(path: str | os.PathLike, data: Any) -> None:
    """Write a data set, which appears whole or not at all."""
    with atomic_write(path) as temporary, temporary.open('w', encoding='utf-8') as file:
        json.dump(data, file, ensure_ascii=False)

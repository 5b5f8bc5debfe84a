"""What scripts leave out of COCO's annotations though their masks say it."""
import itertools
import warnings
from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

from mmsart.datasets.coco_file import CocoFile, Record, is_id, is_side
from mmsart.structures.mask.coco_segmentations import find_bad_segmentations
from mmsart.structures.mask.patch_masks import PatchMasks

MEASURED = ('bbox', 'area')


def count_missing(coco: CocoFile) -> dict[str, int]:
    """Count the annotations that lack a key which pycocotools needs and a reader can do without.

    Args:
        coco: the file.

    Returns:
        Annotations without it, for each of ``bbox``, ``area`` and ``id`` that some lack.
    """
    return dict(Counter(
        key for each in coco.annotations for key in (*MEASURED, 'id') if key not in each))


def fill_in(coco: CocoFile) -> CocoFile:
    """Measure boxes and areas that are missing, and number annotations without an id.

    An area of 0, as scripts put it in the place of one, is missing too: mmdet leaves such
    annotations out. What else is there, right or wrong, stays, and so does what a bad mask leaves
    unknown; see :func:`mmsart.datasets.coco_file.find_problems`.

    Args:
        coco: the file, of which nothing is checked.

    Returns:
        The same with annotations filled in; a warning counts them.
    """
    counts = count_missing(coco)
    if zeros := sum(each.get('area') == 0 for each in coco.annotations):
        counts['an area above 0'] = zeros
    if not counts:
        return coco
    annotations = [dict(each) for each in coco.annotations]
    _measure(coco, annotations)
    taken = {each['id'] for each in annotations if is_id(each.get('id'))}
    free = (number for number in itertools.count(1) if number not in taken)
    for each in annotations:
        if 'id' not in each:
            each['id'] = next(free)
    warnings.warn(
        f'{coco.path}: annotations without ' + ', '.join(
            f'{key}: {count}' for key, count in counts.items())
        + '; boxes and areas are those of the masks, ids are counted', stacklevel=4)
    return replace(coco, annotations=annotations)


def _measure(coco: CocoFile, annotations: list[Record]) -> None:
    images = {image['id']: image for image in coco.images if is_id(image.get('id'))
              and is_side(image.get('height')) and is_side(image.get('width'))}
    of_image: dict[Any, list[Record]] = defaultdict(list)
    for each in annotations:
        owner = each.get('image_id')
        if is_id(owner) and owner in images and any(_lacks(each, key) for key in MEASURED):
            of_image[owner].append(each)
    for img_id, records in of_image.items():
        size = int(images[img_id]['height']), int(images[img_id]['width'])
        segmentations = [each.get('segmentation') for each in records]
        bad = {error.index for error in find_bad_segmentations(segmentations, *size)}
        good = [each for number, each in enumerate(records) if number not in bad]
        masks = PatchMasks.from_coco([each['segmentation'] for each in good], *size)
        for each, box, area in zip(good, masks.boxes.tolist(), masks.areas.tolist(), strict=True):
            measured = dict(area=area, bbox=[box[0], box[1], box[2] - box[0], box[3] - box[1]])
            each.update({key: measured[key] for key in MEASURED if _lacks(each, key)})


def _lacks(annotation: Record, key: str) -> bool:
    return key not in annotation or (key == 'area' and annotation[key] == 0)

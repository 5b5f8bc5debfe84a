"""COCO's annotation files, read whole and checked before anything is built from them."""
import gzip
import json
import os
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmsart.structures.mask.coco_segmentations import bound_segmentations, find_bad_segmentations
from mmsart.utils.errors import UserError, missing, named, shown

GZIP_MAGIC = b'\x1f\x8b'
LEAST_BOX_IOU = 0.5  # of an annotation's box and its mask; a cell has one place
BOX_TOLERANCE = 2.0  # pixels by which the sides of small boxes may differ

Record = dict[str, Any]


@dataclass(frozen=True)
class CocoFile:
    """The records of a COCO annotation file, as they stand there.

    Attributes:
        path: the file.
        images: one dict per image.
        annotations: one dict an annotation; of LIVECell's files, where they are keyed by id,
            the values.
        categories: one dict a category.
        plain: whether pycocotools reads the file too: lists, and UTF-8 without a byte-order mark
            or compression.
    """

    path: str
    images: list[Record]
    annotations: list[Record]
    categories: list[Record]
    plain: bool


def read_coco(path: str | os.PathLike) -> CocoFile:
    """Read a COCO annotation file.

    Args:
        path: JSON, in any encoding of Unicode, with ``images``, ``annotations`` and
            ``categories`` as lists or, as in LIVECell, keyed by id; may be compressed by gzip. A
            file without ``annotations`` lists images alone.

    Returns:
        Its records; of these nothing is checked but that they are dicts.

    Raises:
        MissingFileError: there is no such file.
        UserError: it is no JSON, cut off, or has another layout.
    """
    path = Path(path)
    if not path.is_file():
        raise missing(path, 'COCO annotations')
    data = path.read_bytes()
    try:
        compressed = data.startswith(GZIP_MAGIC)
        text = gzip.decompress(data) if compressed else data
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f'{path}: line {error.lineno}, column {error.colno}: {error.msg}, expected '
                        'a whole JSON file') from error
    except (ValueError, RecursionError, OSError, EOFError, zlib.error) as error:
        raise UserError(f'{path}: {error}, expected a JSON file') from error
    if not isinstance(content, dict):
        raise UserError(f'{path}: found a {type(content).__name__}, expected a dict with images, '
                        'annotations and categories')
    parts = {name: _records(path, content, name)
             for name in ('images', 'annotations', 'categories')}
    encoded = compressed or json.detect_encoding(text) != 'utf-8'
    keyed = any(isinstance(content.get(name), dict) for name in parts)
    return CocoFile(str(path), **parts, plain=not encoded and not keyed)


def _records(path: Path, content: dict[str, Any], name: str) -> list[Record]:
    """Return one list of records; the key of a record that lacks an id is its id."""
    found = content.get(name, [] if name == 'annotations' else None)
    if isinstance(found, dict):
        found = [{'id': _as_id(key), **record} if isinstance(record, dict) else record
                 for key, record in found.items()]
    if not isinstance(found, list):
        raise UserError(f'{path}: {name}: found {shown(found)}, expected a list')
    wrong = next((number for number, each in enumerate(found) if not isinstance(each, dict)), None)
    if wrong is not None:
        raise UserError(f'{path}: {name}: number {wrong}, from 0: found {shown(found[wrong])}, '
                        'expected a dict')
    return found


def find_problems(coco: CocoFile, with_masks: bool = True,
                  with_boxes: bool = True) -> list[UserError]:
    """Name everything in a COCO file that could not be read as it is meant.

    Args:
        coco: the file.
        with_masks: whether each annotation needs a mask.
        with_boxes: whether each annotation needs a box and an area.

    Returns:
        Errors with file, image and annotation. There is none where every image has a size, a name
        and an id of its own, every annotation belongs to an image and to a category and has a
        box with positive sides, and every mask is one of its image, in the place of its box.
        Annotations with ``ignore`` set, which are left out, need an image and category alone.
    """
    return [UserError(f'{coco.path}: {problem}') for problem in [
        *_image_problems(coco.images), *_category_problems(coco),
        *_annotation_problems(coco, with_masks, with_boxes)]]


def check_classes(coco: CocoFile, classes: Sequence[str]) -> None:
    """Check that some category of a file is among the classes of a data set.

    Args:
        coco: the file.
        classes: of the data set's ``metainfo``.

    Raises:
        UserError: none is, so that every annotation would be left out.
    """
    names = [str(category.get('name')) for category in coco.categories]
    if not set(names) & set(classes):
        raise UserError(f'{coco.path}: categories: found {named(names) or "none"}, expected '
                        f'one of the classes {", ".join(classes)} (metainfo.classes)')


def count_crowds(coco: CocoFile) -> tuple[int, int]:
    """Count the crowds of a file, and all its annotations, without those to ignore.

    Args:
        coco: the file.

    Returns:
        Both numbers.
    """
    counted = [bool(each.get('iscrowd')) for each in coco.annotations if not each.get('ignore')]
    return sum(counted), len(counted)


def _image_problems(images: Iterable[Record]) -> Iterator[str]:
    seen = set()
    for number, image in enumerate(images):
        place = _name(image) or f'image number {number}, from 0'
        if not is_id(image.get('id')):
            yield f'{place}: id: found {_found(image, "id")}, expected a number or text'
        elif image['id'] in seen:
            yield f'{place}: id: found {shown(image["id"])} twice, expected each once'
        else:
            seen.add(image['id'])
        name = image.get('file_name')
        if not isinstance(name, str) or not name or '\0' in name:
            yield f'{place}: file_name: found {_found(image, "file_name")}, expected a name'
        for side in ('height', 'width'):
            if not is_side(image.get(side)):
                yield (f'{place}: {side}: found {_found(image, side)}, expected a whole number of '
                       'pixels, at least 1')


def _category_problems(coco: CocoFile) -> Iterator[str]:
    used = {each['category_id'] for each in coco.annotations if is_id(each.get('category_id'))}
    for key, expected in (('id', 'a number or text'), ('name', 'a text')):
        values = []
        for number, category in enumerate(coco.categories):
            value = category.get(key)
            if not (is_id(value) if key == 'id' else isinstance(value, str)):
                yield (f'category number {number}, from 0: {key}: found {_found(category, key)}, '
                       f'expected {expected}')
            elif key == 'id' or (is_id(category.get('id')) and category['id'] in used):
                # Roboflow puts its project in front, often by the name of a class, and empty.
                values.append(value)
        for value, count in Counter(values).items():
            if count > 1:
                yield f'categories: found the {key} {shown(value)} {count} times, expected it once'


def _annotation_problems(coco: CocoFile, with_masks: bool, with_boxes: bool) -> Iterator[str]:
    images = {image['id']: image for image in coco.images if is_id(image.get('id'))}
    categories = {each['id'] for each in coco.categories if is_id(each.get('id'))}
    seen: set = set()
    of_image: dict[Any, list[Record]] = defaultdict(list)
    for number, annotation in enumerate(coco.annotations):
        number_or_id = (shown(annotation['id']) if is_id(annotation.get('id'))
                        else f'number {number}, from 0')
        problem = _record_problem(annotation, images, categories, seen)
        if with_boxes and not problem and not annotation.get('ignore'):
            problem = _box_problem(annotation)
        if problem:
            owner = annotation.get('image_id')
            image = images.get(owner, {}) if is_id(owner) else {}
            yield ', '.join(filter(None, [
                _name(image), f'annotation {number_or_id}: {problem}']))
        elif not annotation.get('ignore'):
            of_image[annotation['image_id']].append(annotation)
    for img_id, annotations in of_image.items():
        image = images[img_id]
        if is_side(image.get('height')) and is_side(image.get('width')):
            for annotation, problem in _mask_problems(image, annotations, with_masks, with_boxes):
                place = _name(image) or f'image {shown(img_id)}'
                yield f'{place}, annotation {shown(annotation["id"])}: {problem}'


def _record_problem(annotation: Record, images: Mapping[Any, Record], categories: set,
                    seen: set) -> str | None:
    """Say what is wrong with an annotation but for box and mask; None where nothing is."""
    for key, known in (('id', None), ('image_id', images), ('category_id', categories)):
        value = annotation.get(key)
        if not is_id(value):
            return f'{key}: found {_found(annotation, key)}, expected a number or text'
        if known is not None and value not in known:
            what = 'image' if key == 'image_id' else 'category'
            return f'{key}: found {shown(value)}, expected the id of one of the {len(known)} ' + (
                'images' if what == 'image' else 'categories')
    if annotation['id'] in seen:
        return f'id: found {shown(annotation["id"])} twice, expected each once'
    seen.add(annotation['id'])
    for key in ('iscrowd', 'ignore'):
        if annotation.get(key, 0) not in (0, 1):
            return f'{key}: found {_found(annotation, key)}, expected 0 or 1'
    return None


def _box_problem(annotation: Record) -> str | None:
    """Say what is wrong with an annotation's box or area; None where nothing is."""
    box = annotation.get('bbox')
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_finite, box)):
        return f'bbox: found {_found(annotation, "bbox")}, expected 4 numbers x, y, width, height'
    if box[2] < 0 or box[3] < 0:
        return f'bbox: found {shown(box)}, expected a width and a height of 0 or more'
    if not _is_finite(annotation.get('area')):
        return f'area: found {_found(annotation, "area")}, expected a number of pixels'
    return None


def _mask_problems(image: Record, annotations: Sequence[Record], with_masks: bool,
                   with_boxes: bool) -> Iterator[tuple[Record, str]]:
    """Hold the masks of an image's annotations against the image and against their boxes."""
    if not with_masks:  # boxes alone, where no mask need be there
        annotations = [each for each in annotations if each.get('segmentation')]
    height, width = int(image['height']), int(image['width'])
    masks = [annotation.get('segmentation') for annotation in annotations]
    bad = {error.index: error.problem for error in find_bad_segmentations(masks, height, width)}
    for index, problem in bad.items():
        yield annotations[index], f'segmentation: {problem}'
    if not with_boxes:
        return
    good = [index for index in range(len(masks)) if index not in bad]
    bounds = bound_segmentations([masks[index] for index in good], height, width)
    for index, bound in zip(good, bounds, strict=True):
        box = annotations[index]['bbox']
        if not _agree(box, bound, height, width):
            x1, y1, x2, y2 = bound.tolist()
            corners = ' as x1, y1, x2, y2' if _are_close(box, bound) else ''
            yield annotations[index], (
                f'bbox: found {shown(box)}{corners}, expected about [{x1:g}, {y1:g}, {x2 - x1:g}, '
                f'{y2 - y1:g}], the x, y, width and height of its segmentation')


def _agree(box: Sequence[float], bound: np.ndarray, height: int, width: int) -> bool:
    """Return whether a box, xywh, and the bounds of a mask, xyxy, can be those of one cell."""
    x, y, w, h = (float(value) for value in box)
    given = np.array([x, y, x + w, y + h]).clip(0, [width, height, width, height])
    if _are_close(given, bound):
        return True
    if _are_close(box, bound):  # written as its corners; large cells overlap that box by half
        return False
    shared = np.minimum(given[2:], bound[2:]) - np.maximum(given[:2], bound[:2])
    intersection = np.prod(shared.clip(0))
    union = np.prod(given[2:] - given[:2]) + np.prod(bound[2:] - bound[:2]) - intersection
    return bool(intersection >= LEAST_BOX_IOU * union)


def _are_close(box: Sequence[float] | np.ndarray, bound: np.ndarray) -> bool:
    return bool(np.abs(np.asarray(box, float) - bound).max() <= BOX_TOLERANCE)


def _as_id(key: str) -> int | str:
    return int(key) if key.isascii() and key.isdigit() and len(key) < 19 else key


def is_id(value: Any) -> bool:
    """Tell whether a value of a file can be an id: a whole number or a text."""
    return (isinstance(value, int | str) and not isinstance(value, bool)) or (
        isinstance(value, float) and value.is_integer())


def is_side(value: Any) -> bool:
    """Tell whether a value of a file can be the height or width of an image in pixels."""
    return _is_finite(value) and value >= 1 and value == int(value)


def _is_finite(value: Any) -> bool:
    return (isinstance(value, int | float) and not isinstance(value, bool)
            and -float(1 << 53) <= value <= float(1 << 53))


def _name(image: Record) -> str:
    name = image.get('file_name')
    return f'image {named([name])}' if name and isinstance(name, str) else ''


def _found(record: Record, key: str) -> str:
    return shown(record[key]) if key in record else 'none'

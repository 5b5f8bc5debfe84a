"""Predictions of a test run, kept in a file for tuning, error counts and pictures.

The file is a pickle of plain dicts, lists, strings, numbers and bytes. Reading it admits nothing
else, so that a file from elsewhere cannot run code.
"""
import io
import os
import pickle
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from mmsart.datasets.classes import CLASSES
from mmsart.structures.mask.coco_counts import decode_counts
from mmsart.structures.mask.rle import parse_rles
from mmsart.structures.mask.runs import BadRleError, find_bad_runs
from mmsart.utils.errors import MissingFileError, UserError
from mmsart.utils.files import atomic_write

_FORMAT = 'mmsart-predictions-1'
_DTYPES = dict(scores=np.float32, labels=np.int64, bboxes=np.float32, mask_probs=np.float16)


@dataclass
class ImagePredictions:
    """What a model found in one image, before post-processing, and what is there.

    Attributes:
        img_id: name of the image.
        height: of the image in pixels.
        width: of the image in pixels.
        scores: float32 (N,), descending or not.
        labels: int64 (N,), index into :data:`mmsart.datasets.CLASSES`.
        bboxes: float32 (N, 4), xyxy in pixels of the image.
        rles: N masks as transposed COCO RLE.
        cell_type: true type, empty if unknown.
        sample_id: field of view.
        truth: true masks in Kaggle's run-length code; None if unknown.
        mask_probs: float16 (N, h, w), soft masks over the boxes, if the head kept them.
    """

    img_id: str
    height: int
    width: int
    scores: np.ndarray
    labels: np.ndarray
    bboxes: np.ndarray
    rles: list[dict[str, Any]]
    cell_type: str = ''
    sample_id: str = ''
    truth: list[str] | None = field(default=None)
    mask_probs: np.ndarray | None = field(default=None)


def save_predictions(path: str | os.PathLike, images: Sequence[ImagePredictions]) -> None:
    """Write predictions to a file.

    Args:
        path: the file.
        images: one entry an image.

    Raises:
        UserError: the folder cannot be written.
    """
    plain = dict(format=_FORMAT, classes=list(CLASSES), images=[_to_plain(each) for each in images])
    with atomic_write(path) as temporary:
        temporary.write_bytes(pickle.dumps(plain, protocol=4))


def load_predictions(path: str | os.PathLike) -> list[ImagePredictions]:
    """Read predictions from a file of :func:`save_predictions`.

    Args:
        path: the file.

    Returns:
        One entry an image.

    Raises:
        MissingFileError: there is no such file.
        UserError: it is something else, damaged, or holds objects other than plain data.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'{path}: no such file, expected predictions of tools/test.py --out')
    try:
        plain = _PlainUnpickler(io.BytesIO(path.read_bytes())).load()
        if plain['format'] != _FORMAT or tuple(plain['classes']) != CLASSES:
            raise UserError(f'{path}: found format {plain["format"]!r} with classes '
                            f'{plain["classes"]}, expected {_FORMAT!r} with {list(CLASSES)}')
        images = [_from_plain(each) for each in plain['images']]
        doubles = [name for name, count in Counter(i.img_id for i in images).items() if count > 1]
        if doubles:
            raise UserError(f'image {doubles[0]}: found twice, expected each image once')
        return images
    except UserError as error:
        raise UserError(f'{path}: {error}') if str(path) not in str(error) else error from None
    except Exception as error:  # pickle raises nearly anything on a damaged file
        raise UserError(
            f'{path}: not a file of predictions ({type(error).__name__}), expected one written '
            'by tools/test.py --out') from error


class _PlainUnpickler(pickle.Unpickler):
    """Refuse every class and function that a pickle names."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise UserError(f'found the object {module}.{name}, expected plain data only')


def _to_plain(image: ImagePredictions) -> dict[str, Any]:
    plain: dict[str, Any] = dict(vars(image))
    for key, dtype in _DTYPES.items():
        array = plain[key]
        if array is not None:
            array = np.ascontiguousarray(array, dtype)
            plain[key] = dict(shape=list(array.shape), data=array.tobytes())
    plain['rles'] = [rle['counts'] for rle in image.rles]  # the size is the image's
    return plain


def _from_plain(plain: dict[str, Any]) -> ImagePredictions:
    for key, dtype in _DTYPES.items():
        if plain[key] is not None:
            array = np.frombuffer(plain[key]['data'], dtype)
            plain[key] = array.reshape(plain[key]['shape']).copy()
    size = [plain['width'], plain['height']]
    plain['rles'] = [dict(size=size, counts=counts) for counts in plain['rles']]
    image = ImagePredictions(**plain)
    problem = _find_problem(image)
    if problem:
        raise UserError(f'image {image.img_id}: {problem}')
    return image


def _find_problem(image: ImagePredictions) -> str | None:
    """Say what is wrong with an image's numbers, as a damaged file has them; None if nothing is."""
    count, pixels = len(image.scores), image.height * image.width
    if pixels < 1:
        return f'found {image.height} x {image.width} pixels, expected at least one'
    lengths = [len(image.labels), len(image.bboxes), len(image.rles)]
    if image.mask_probs is not None:
        lengths.append(len(image.mask_probs))
    if set(lengths) - {count}:
        return f'found {count} scores beside {lengths} labels, boxes and masks, expected as many'
    if image.bboxes.shape != (count, 4):
        return f'found boxes of shape {image.bboxes.shape}, expected ({count}, 4)'
    if not np.isfinite(image.scores).all():
        return 'found a score that is not finite'
    if count and not 0 <= image.labels.min() <= image.labels.max() < len(CLASSES):
        return (f'found labels {image.labels.min()} to {image.labels.max()}, expected 0 to '
                f'{len(CLASSES) - 1}')
    counts, splits = decode_counts([rle['counts'] for rle in image.rles])
    covered = np.diff(np.append(0, np.cumsum(counts))[splits])
    bad = np.flatnonzero(covered != pixels)
    if len(bad):
        return f'mask {bad[0]}: found runs over {covered[bad[0]]} pixels, expected {pixels}'
    if (counts < 0).any():
        return 'found a run of negative length'
    if image.truth is None:
        return None
    try:
        wrong = find_bad_runs(parse_rles(image.truth), pixels)
    except BadRleError as error:
        wrong = error
    return None if wrong is None else f'true object {wrong.index}: {wrong.problem}'

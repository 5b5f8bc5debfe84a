"""Predictions of a test run, kept in a file for tuning, error counts and pictures.

The file is a pickle of plain dicts, lists, strings, numbers and bytes. Reading it admits nothing
else, so that a file from elsewhere cannot run code.
"""
import json
import os
import pickle
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from mmsart.structures.detections import Detections
from mmsart.structures.mask.coco_counts import decode_counts
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.ragged import exclusive_cumsum
from mmsart.structures.mask.rle import decode_rles, parse_rles, runs_to_texts
from mmsart.structures.mask.runs import BadRleError, find_bad_runs
from mmsart.structures.predictions import Predictions
from mmsart.utils.errors import UserError, missing, shown
from mmsart.utils.files import atomic_write

_FORMAT = 'mmsart-predictions-1'
_DTYPES = dict(scores=np.float32, labels=np.int64, bboxes=np.float32, mask_probs=np.float16)


class SavedPredictions(NamedTuple):
    """What a file of predictions holds.

    Attributes:
        classes: names in label order.
        images: one entry an image.
        postprocess: settings of post-processing that the test used; None in files that do not
            say.
    """

    classes: tuple[str, ...]
    images: list[Predictions]
    postprocess: dict[str, Any] | None = None


def save_predictions(
        path: str | os.PathLike, images: Iterable[Predictions | dict[str, Any]],
        classes: Sequence[str], postprocess: Mapping[str, Any] | None = None) -> None:
    """Write predictions to a file.

    Args:
        path: the file.
        images: one entry an image, as it is or as :func:`to_plain` gives it.
        classes: names in label order.
        postprocess: complete settings, for those who want to see the final cells.

    Raises:
        UserError: the folder cannot be written.
    """
    plain = [to_plain(each) if isinstance(each, Predictions) else each for each in images]
    with atomic_write(path) as temporary, temporary.open('wb') as file:
        # Soft masks are 1.6 MB for 1,000 detections: what is pickled is not held a second time.
        pickle.dump(dict(
            format=_FORMAT, classes=list(classes), images=plain,
            # The plain data that the tuner's file would hold of them.
            postprocess=postprocess and json.loads(json.dumps(postprocess))), file, protocol=4)


def load_predictions(path: str | os.PathLike) -> SavedPredictions:
    """Read predictions from a file of :func:`save_predictions`.

    Args:
        path: the file.

    Returns:
        The classes, one entry an image, and the settings of post-processing.

    Raises:
        MissingFileError: there is no such file.
        UserError: it is something else, damaged, or holds objects other than plain data.
    """
    path = Path(path)
    if not path.is_file():
        raise missing(path, 'predictions of mmsart test --out')
    try:
        with path.open('rb') as file:
            plain = _PlainUnpickler(file).load()
        if plain['format'] != _FORMAT:
            raise UserError(f'found format {plain["format"]!r}, expected {_FORMAT!r}')
        classes = _read_classes(plain['classes'])
        doubles = [name for name, count in Counter(
            each['img_id'] for each in plain['images']).items() if count > 1]
        if doubles:
            raise UserError(f'image {doubles[0]}: found twice, expected each image once')
        settings = plain.get('postprocess')
        if not isinstance(settings, dict | None):  # a text would be read as the path of a file
            raise UserError(f'postprocess: found {shown(settings)}, expected settings by name')
        waiting, images = plain['images'][::-1], []
        del plain['images']
        while waiting:  # each is let go before the next one is decoded
            images.append(_from_plain(waiting.pop(), len(classes)))
        return SavedPredictions(classes, images, settings)
    except UserError as error:
        raise UserError(f'{path}: {error}') from None
    except Exception as error:  # pickle raises nearly anything on a damaged file
        raise UserError(
            f'{path}: not a file of predictions ({type(error).__name__}), expected one written '
            'by mmsart test --out') from error


def load_annotated(path: str | os.PathLike) -> SavedPredictions:
    """Read predictions from a file of which every image has its truth.

    Args:
        path: the file.

    Returns:
        As :func:`load_predictions`; of at least one image.

    Raises:
        MissingFileError: there is no such file.
        UserError: it is no file of predictions, or there is no image, or one without truth.
    """
    saved = load_predictions(path)
    if not saved.images:
        raise UserError(f'{path}: found no image, expected predictions of annotated images')
    for image in saved.images:
        if image.truth is None:
            raise UserError(
                f'{path}: image {image.img_id}: no truth, expected predictions of annotated images')
    return saved


class _PlainUnpickler(pickle.Unpickler):
    """Refuse every class and function that a pickle names."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise UserError(f'found the object {module}.{name}, expected plain data only')


def _read_classes(classes: Any) -> tuple[str, ...]:
    if not classes or not all(isinstance(name, str) for name in classes):
        raise UserError(f'found classes {classes!r}, expected at least one name')
    return tuple(classes)


def to_plain(image: Predictions) -> dict[str, Any]:
    """Encode the predictions of one image as plain data, small enough to send between processes.

    Args:
        image: the predictions.

    Returns:
        Masks as the counts of transposed COCO RLE, the truth as Kaggle's text, arrays as bytes
        with their shape.
    """
    found = image.detections
    plain: dict[str, Any] = dict(
        img_id=image.img_id, height=image.size[0], width=image.size[1], scores=found.scores,
        labels=found.labels, bboxes=found.bboxes,
        rles=[rle['counts'] for rle in found.masks.to_rles()],  # the size is the image's
        cell_type=image.cell_type, sample_id=image.sample_id,
        truth=None if image.truth is None else runs_to_texts(image.truth.to_runs()),
        mask_probs=found.mask_probs)
    for key, dtype in _DTYPES.items():
        if plain[key] is not None:
            array = np.ascontiguousarray(plain[key], dtype)
            plain[key] = dict(shape=list(array.shape), data=array.tobytes())
    return plain


def _from_plain(plain: dict[str, Any], num_classes: int) -> Predictions:
    for key, dtype in _DTYPES.items():
        if plain[key] is not None:
            array = np.frombuffer(plain[key]['data'], dtype)
            plain[key] = array.reshape(plain[key]['shape']).copy()
    problem = _find_problem(plain, num_classes)
    if problem:
        raise UserError(f'image {plain["img_id"]}: {problem}')
    size = plain['height'], plain['width']
    codes = [dict(counts=counts) for counts in plain['rles']]
    return Predictions(
        Detections(
            plain['scores'], plain['labels'], PatchMasks.from_runs(decode_rles(codes), *size),
            plain['bboxes'], plain['img_id'], plain['mask_probs']),
        None if plain['truth'] is None else PatchMasks.from_runs(
            parse_rles(plain['truth']), *size),
        plain['cell_type'], plain['sample_id'])


def _find_problem(plain: dict[str, Any], num_classes: int) -> str | None:
    """Say what is wrong with an image's numbers, as a damaged file has them; None if nothing is."""
    count, pixels = len(plain['scores']), plain['height'] * plain['width']
    if pixels < 1:
        return f'found {plain["height"]} x {plain["width"]} pixels, expected at least one'
    lengths = [len(plain[key]) for key in ('labels', 'bboxes', 'rles')]
    if plain['mask_probs'] is not None:
        lengths.append(len(plain['mask_probs']))
    if set(lengths) - {count}:
        return f'found {count} scores beside {lengths} labels, boxes and masks, expected as many'
    if plain['bboxes'].shape != (count, 4):
        return f'found boxes of shape {plain["bboxes"].shape}, expected ({count}, 4)'
    if not np.isfinite(plain['scores']).all():
        return 'found a score that is not finite'
    labels = plain['labels']
    if count and not 0 <= labels.min() <= labels.max() < num_classes:
        return (f'found labels {labels.min()} to {labels.max()}, expected 0 to {num_classes - 1}')
    counts, splits = decode_counts(plain['rles'])
    covered = np.diff(exclusive_cumsum(counts)[splits])
    bad = np.flatnonzero(covered != pixels)
    if len(bad):
        return f'mask {bad[0]}: found runs over {covered[bad[0]]} pixels, expected {pixels}'
    if (counts < 0).any():
        return 'found a run of negative length'
    if plain['truth'] is None:
        return None
    try:
        wrong = find_bad_runs(parse_rles(plain['truth']), pixels)
    except BadRleError as error:
        wrong = error
    return None if wrong is None else f'true object {wrong.index}: {wrong.problem}'

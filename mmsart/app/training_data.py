"""Corrected images as truth to train on: Kaggle's layout and COCO's beside it."""
from __future__ import annotations

import csv
import errno
import itertools
import json
import secrets
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmsart.app.exports import item_stems, open_result
from mmsart.app.items import Item, results_of
from mmsart.app.library import Library
from mmsart.datasets.classes import CLASSES
from mmsart.datasets.train_csv import COLUMNS
from mmsart.formats.coco import to_coco
from mmsart.formats.overlay import to_display
from mmsart.structures.detections import Detections
from mmsart.structures.image_result import FrameResult, ImageResult
from mmsart.structures.mask.rle import runs_to_texts
from mmsart.utils import UserError, check_writable, readable
from mmsart.utils.pictures import write_picture

CONFIG = 'mmsart::sartorius/finetune_mobilenetv2.py'


@dataclass(frozen=True)
class TrainingData:
    """What was written.

    Attributes:
        folder: with ``train.csv``, ``annotations.json`` and ``train/``.
        images: frames.
        cells: of all.
        mixed: frames that show cells of several classes, which ``train.csv`` cannot hold; they
            stand in ``annotations.json`` alone.
        failed: what is wrong with images that are left out, a line each.
        command: a line that trains on it.
    """

    folder: str
    images: int
    cells: int
    mixed: tuple[str, ...]
    failed: tuple[str, ...]
    command: str


def write_training_data(library: Library, items: Sequence[Item], folder: Path) -> TrainingData:
    """Write images and their cells, as they stand, as a data set.

    Args:
        library: of all items.
        items: that are done, of one set of classes.
        folder: to make; it appears when it is complete, with a number behind its name if the name
            is taken.

    Returns:
        What was written.

    Raises:
        UserError: there is no item, they differ in their classes, or none can be read.
    """
    if not items:
        raise UserError('training data: found no image, expected some that are marked as checked')
    classes = {results_of(item).classes for item in items}
    if len(classes) > 1:
        raise UserError('training data: found images of models with different classes, expected '
                        'the same for all')
    check_writable(folder.parent)
    building = library.workspace.incoming / secrets.token_hex(8)  # a restart empties the folder
    building.mkdir()
    try:
        images, cells, mixed, failed = _fill(building, library, items)
        folder = _move(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    config = CONFIG if classes == {CLASSES} else 'CONFIG'
    return TrainingData(str(folder), images, cells, tuple(mixed), tuple(failed),
                        f'mmsart train {config} --data {shlex.quote(str(folder))}')


def _move(building: Path, folder: Path) -> Path:
    """Move a folder to a name or, where that is taken, to one with a number; give what it is."""
    for target in itertools.chain([folder], (
            folder.with_name(f'{folder.name}_{number}') for number in itertools.count(2))):
        try:
            return building.rename(target)
        except OSError as error:  # names are not looked up first: others may take them meanwhile
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
    raise AssertionError


def _fill(folder: Path, library: Library, items: Sequence[Item],
          ) -> tuple[int, int, list[str], list[str]]:
    (folder / 'train').mkdir()
    coco: dict[str, Any] = dict(images=[], annotations=[], categories=[])
    mixed: list[str] = []
    errors = []
    with (folder / 'train.csv').open('w', newline='', encoding='utf-8') as file:
        table = csv.writer(file, lineterminator='\n')
        table.writerow(COLUMNS)
        for item, stem in zip(items, item_stems(items), strict=True):
            try:
                with open_result(library, item) as result:
                    _write_pictures(folder / 'train', stem, result)
                    for frame in result.frames:
                        name = f'{stem}{result.frame_suffix(frame)}'
                        if len(np.unique(frame.detections.labels)) > 1:
                            mixed.append(name)
                        else:
                            table.writerows(_rows(name, stem, frame.detections, result.classes))
                        _add_coco(coco, f'{name}.png', frame, result)
            except UserError as error:
                errors.append(error)
    if len(errors) == len(items):
        raise errors[0]
    (folder / 'annotations.json').write_text(json.dumps(coco), encoding='utf-8')
    return (len(coco['images']), len(coco['annotations']), mixed,
            [readable(str(error)) for error in errors])


def _write_pictures(folder: Path, stem: str, result: ImageResult) -> None:
    """Write all frames of an image or, where one cannot be read, none."""
    written: list[Path] = []
    try:
        for frame in result.frames:
            picture = to_display(np.asarray(frame.image), result.display_range)
            written.append(folder / f'{stem}{result.frame_suffix(frame)}.png')
            write_picture(written[-1], picture)
    except UserError:
        for path in written:
            path.unlink(missing_ok=True)
        raise


def _rows(name: str, sample: str, cells: Detections, classes: Sequence[str],
          ) -> Iterator[tuple[Any, ...]]:
    """Make a row per cell, or one without annotation for an image without cells."""
    height, width = cells.masks.height, cells.masks.width
    label = int(cells.labels[0]) if len(cells) else 0
    for text in runs_to_texts(cells.masks.to_runs()) or ['']:
        yield name, text, width, height, classes[label], '', '', sample, ''


def _add_coco(coco: dict[str, Any], file_name: str, frame: FrameResult, result: ImageResult,
              ) -> None:
    """Append a frame to a data set, as truth: without scores."""
    part = to_coco([ImageResult(file_name, [FrameResult(frame.detections, frame.image)],
                                result.classes)])
    image_id = len(coco['images']) + 1
    coco['images'] += [image | dict(id=image_id) for image in part['images']]
    for annotation in part['annotations']:
        plain = {key: value for key, value in annotation.items() if key not in ('score', 'label')}
        coco['annotations'].append(
            plain | dict(id=len(coco['annotations']) + 1, image_id=image_id))
    coco['categories'] = part['categories']

"""Kaggle's submission file, read and written."""
from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmsart.datasets.train_csv import read_csv_text
from mmsart.structures.detections import Detections
from mmsart.structures.mask.rle import decode_rles, runs_to_texts
from mmsart.structures.mask.runs import Runs
from mmsart.utils import UserError, atomic_write, missing

HEADER = ['id', 'predicted']


@dataclass(frozen=True)
class Submission:
    """The rows of a submission file.

    Attributes:
        path: where it was read.
        ids: image id of each row.
        predicted: run-length text of each row; the empty string is "no instance".
        lines: the file's line number of each row, from 1; the header is line 1.
    """

    path: str
    ids: list[str]
    predicted: list[str]
    lines: list[int]


def read_submission(path: str | os.PathLike) -> Submission:
    """Read a file in Kaggle's format, ``id,predicted``.

    Args:
        path: a CSV file, which may be compressed by gzip.

    Returns:
        Its rows as text; nothing but the table's form is checked.

    Raises:
        MissingFileError: there is no such file.
        UserError: it is no text, has another header, or a row with another number of fields.
    """
    path = Path(path)
    if not path.is_file():
        raise missing(path, 'a submission')
    ids, predicted, lines = [], [], []
    csv.field_size_limit(2**31 - 1)  # a mask of a whole image can pass the default of 128 KiB
    reader = csv.reader(io.StringIO(read_csv_text(path, 'line'), newline=''), strict=True)
    line = 1  # where the row begins; quoted line breaks make it longer
    try:
        header = next(reader, None)
        if header != HEADER:
            raise UserError(
                f'{path}: line 1: found {",".join(header or [])[:80]!r}, expected the header '
                f'{",".join(HEADER)!r}')
        line = reader.line_num + 1
        for row in reader:
            if len(row) == 2:
                ids.append(row[0])
                predicted.append(row[1])
                lines.append(line)
            elif row and (len(row) > 1 or row[0].strip()):  # else a blank line, as at the end
                raise UserError(f'{path}: line {line}: found {len(row)} fields, expected 2 '
                                '(id,predicted)')
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f'{path}: line {line}: not a CSV file: {error}') from error
    return Submission(str(path), ids, predicted, lines)


def write_submission(
        path: str | os.PathLike, predictions: Iterable[tuple[str, Detections | Sequence[Any]]],
        image_ids: Sequence[str]) -> int:
    """Write a file that Kaggle accepts: one row per instance, an empty row for an empty image.

    Args:
        path: the CSV file; it appears only when it is complete.
        predictions: image id with its final detections, or with its masks as transposed COCO
            RLE; each image once, in any order.
        image_ids: the ids that the file must hold, in the order of its rows.

    Returns:
        The number of instances.

    Raises:
        UserError: an image is missing, unknown or there twice, or two of its masks share a
            pixel; then nothing is written.
    """
    rows: dict[str, list[str]] = {}
    expected = set(image_ids)
    for img_id, found in predictions:
        if img_id not in expected or img_id in rows:
            state = 'there twice' if img_id in rows else 'unknown'
            raise UserError(
                f'{path}: image {img_id!r} is {state}, expected {len(expected)} images once each')
        rows[img_id] = _disjoint_texts(path, img_id, _runs_of(found))
    missing = [img_id for img_id in image_ids if img_id not in rows]
    if missing:
        raise UserError(
            f'{path}: image {missing[0]!r} has no predictions, expected {len(expected)} images, '
            f'found {len(rows)}')
    with atomic_write(path) as temporary, temporary.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(HEADER)
        for img_id in image_ids:
            writer.writerows((img_id, text) for text in rows[img_id] or [''])
    return sum(map(len, rows.values()))


def merge_submissions(paths: Iterable[str | os.PathLike], path: str | os.PathLike) -> int:
    """Join the files of several images.

    Args:
        paths: submissions, in the order of their rows in the whole.
        path: the file to write.

    Returns:
        The number of rows.

    Raises:
        UserError: a file is no submission, or an image is in two.
    """
    rows: list[tuple[str, str]] = []
    owner: dict[str, str] = {}
    for part_path in paths:
        part = read_submission(part_path)
        for img_id in part.ids:
            if owner.setdefault(img_id, part.path) != part.path:
                raise UserError(f'{part.path}: image {img_id!r} is in {owner[img_id]} too, '
                                'expected each image in one file')
        rows += zip(part.ids, part.predicted, strict=True)
    with atomic_write(path) as temporary, temporary.open('w', newline='', encoding='utf-8') as file:
        csv.writer(file, lineterminator='\n').writerows([HEADER, *rows])
    return len(rows)


def _runs_of(found: Detections | Sequence[Any]) -> Runs:
    return found.masks.to_runs() if isinstance(found, Detections) else decode_rles(found)


def _disjoint_texts(path: str | os.PathLike, img_id: str, runs: Runs) -> list[str]:
    """Write the masks that are not empty as text; refuse those that share a pixel."""
    order = np.argsort(runs.starts, kind='stable')
    starts = runs.starts[order]
    ends = starts + runs.lengths[order]
    if (starts[1:] < ends[:-1]).any():
        raise UserError(
            f'{path}: image {img_id!r}: two predictions share a pixel, which Kaggle refuses; '
            f'expected the post-processing with remove_overlap=True')
    return [text for text in runs_to_texts(runs) if text]

"""Kaggle's submission file: writing it, reading it, and what would get it refused."""
from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmsart.structures.detections import Detections
from mmsart.structures.mask.rle import decode_rles, parse_rles, runs_to_text
from mmsart.structures.mask.runs import BadRleError, Runs, find_bad_runs
from mmsart.utils import MissingFileError, UserError, atomic_write

HEADER = ['id', 'predicted']
Size = tuple[int, int]


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


@dataclass(frozen=True)
class Problem:
    """Why a submission would be refused.

    Attributes:
        line: the file's line number, or None where a row is missing.
        message: what was found and what was expected, with line and image.
    """

    line: int | None
    message: str


def read_submission(path: str | os.PathLike) -> Submission:
    """Read a file in Kaggle's format, ``id,predicted``.

    Args:
        path: a CSV file.

    Returns:
        Its rows as text; nothing but the table's form is checked.

    Raises:
        MissingFileError: there is no such file.
        UserError: it has another header, or a row with another number of fields.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'{path}: no such file, expected a submission')
    ids, predicted, lines = [], [], []
    csv.field_size_limit(2**31 - 1)  # a mask of a whole image can pass the default of 128 KiB
    with path.open(newline='', encoding='utf-8-sig', errors='replace') as file:
        reader = csv.reader(file, strict=True)
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
            raise UserError(f'{path}: line {line}: no CSV: {error}') from error
    return Submission(str(path), ids, predicted, lines)


def check_submission(
        submission: Submission, sizes: Mapping[str, Size] | Size, *, allow_missing: bool = False,
        limit: int = 20) -> list[Problem]:
    """Name what Kaggle would refuse, row by row.

    Args:
        submission: the rows.
        sizes: (h, w) of each expected image by id, or one (h, w) for all where the ids are not
            known; then no id counts as unknown or missing.
        allow_missing: whether expected images may be left out.
        limit: the greatest number of problems to look for.

    Returns:
        The problems, by line, then missing images; empty if the file is fine.
    """
    known = sizes if isinstance(sizes, Mapping) else None
    problems: list[Problem] = []
    usable = np.ones(len(submission.ids), bool)

    def report(row: int, text: str) -> None:
        usable[row] = False
        line = submission.lines[row]
        problems.append(Problem(line, f'line {line}, image {submission.ids[row]!r}: {text}'))

    for row, text in _bad_rows(submission, known):
        report(row, text)
    good = np.flatnonzero(usable)
    while len(good):
        try:
            runs = parse_rles([submission.predicted[row] for row in good])
            pixels = _num_pixels(submission, good, sizes)
            bad = find_bad_runs(runs, pixels)
        except BadRleError as error:
            bad = error
        if bad is None:
            for row, text in _shared_pixels(submission, good, runs, sizes, limit):
                report(row, text)
            break
        report(int(good[bad.index]), bad.problem)
        if len(problems) >= limit:
            break
        good = np.delete(good, bad.index)
    problems.sort(key=lambda problem: problem.line or 0)
    if known is not None and not allow_missing:
        found = set(submission.ids)
        problems += [
            Problem(None, f'image {img_id!r}: no row, expected at least one')
            for img_id in known if img_id not in found]
    return problems[:limit]


def _bad_rows(
        submission: Submission, known: Mapping[str, Size] | None) -> list[tuple[int, str]]:
    """Find unknown ids, and empty predictions that are not their image's only row."""
    rows_of: dict[str, int] = {}
    for img_id in submission.ids:
        rows_of[img_id] = rows_of.get(img_id, 0) + 1
    bad = []
    for row, (img_id, text) in enumerate(zip(submission.ids, submission.predicted, strict=True)):
        if not img_id:
            bad.append((row, 'empty id, expected an image id'))
        elif known is not None and img_id not in known:
            bad.append((row, f'unknown id, expected one of {len(known)} images'))
        elif not text.strip() and rows_of[img_id] > 1:
            bad.append((row, 'empty prediction beside other rows of this image, expected runs'))
    return bad


def _num_pixels(
        submission: Submission, rows: np.ndarray, sizes: Mapping[str, Size] | Size) -> np.ndarray:
    if isinstance(sizes, Mapping):
        shapes = np.array([sizes[submission.ids[row]] for row in rows], np.int64)
        return shapes[:, 0] * shapes[:, 1]
    return np.full(len(rows), sizes[0] * sizes[1], np.int64)


def _shared_pixels(
        submission: Submission, rows: np.ndarray, runs: Runs,
        sizes: Mapping[str, Size] | Size, limit: int) -> list[tuple[int, str]]:
    """Find rows of one image that share a pixel; all images at once, on one long line of pixels.

    Sorted by start, a run clashes with an earlier one if it begins before the furthest end so
    far. Runs of different images cannot meet: each image has its own stretch of the line.
    """
    numbers: dict[str, int] = {}
    image = np.array(
        [numbers.setdefault(submission.ids[row], len(numbers)) for row in rows], np.int64)
    stretch = int(_num_pixels(submission, rows, sizes).max(initial=0)) + 1
    owner = np.repeat(np.arange(len(rows)), np.diff(runs.splits))
    starts = runs.starts + image[owner] * stretch
    order = np.argsort(starts, kind='stable')
    starts, owner = starts[order], owner[order]
    ends = starts + runs.lengths[order]
    furthest = np.maximum.accumulate(ends)
    clashes = np.flatnonzero(starts[1:] < furthest[:-1]) + 1
    found: dict[tuple[int, int], str] = {}
    for at in clashes.tolist():
        first = int(np.searchsorted(furthest, starts[at], side='right'))
        pair = sorted((int(rows[owner[first]]), int(rows[owner[at]])))
        if (pair[0], pair[1]) in found:
            continue
        img_id = submission.ids[pair[0]]
        size = sizes[img_id] if isinstance(sizes, Mapping) else sizes
        y, x = divmod(int(starts[at] % stretch), size[1])
        found[pair[0], pair[1]] = (
            f'shares pixel (row {y}, column {x}; number {starts[at] % stretch + 1}) with line '
            f'{submission.lines[pair[0]]}, expected no shared pixel')
        if len(found) >= limit:
            break
    return [(pair[1], text) for pair, text in found.items()]


def write_submission(
        path: str | os.PathLike, predictions: Iterable[tuple[str, Detections | Sequence[Any]]],
        image_ids: Sequence[str]) -> int:
    """Write a file that Kaggle accepts: one row an instance, an empty row for an empty image.

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
    with atomic_write(path) as temporary, temporary.open('w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(HEADER)
        for img_id in image_ids:
            writer.writerows((img_id, text) for text in rows[img_id] or [''])
    return sum(map(len, rows.values()))


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
    return [
        runs_to_text(runs.starts[begin:end], runs.lengths[begin:end])
        for begin, end in zip(runs.splits[:-1], runs.splits[1:], strict=True) if end > begin]

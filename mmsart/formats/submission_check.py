"""What would get a submission refused, row by row."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmsart.formats.submission import Submission
from mmsart.structures.mask.rle import parse_rles
from mmsart.structures.mask.runs import BadRleError, Runs, find_bad_runs

Size = tuple[int, int]


@dataclass(frozen=True)
class Problem:
    """Why a submission would be refused.

    Attributes:
        line: the file's line number, or None where a row is missing.
        message: what was found and what was expected, with line and image.
    """

    line: int | None
    message: str


def check_submission(
        submission: Submission, sizes: Mapping[str, Size] | Size, *, allow_missing: bool = False,
        limit: int = 20) -> list[Problem]:
    """Name what Kaggle would refuse, row by row.

    Args:
        submission: the rows.
        sizes: (h, w) of each expected image by id, or one (h, w) for all where the ids are not
            known; then no id counts as unknown or missing.
        allow_missing: whether expected images may be left out.
        limit: maximum number of problems to look for.

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
    owner = runs.owners
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

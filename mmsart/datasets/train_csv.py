"""The competition's annotation table, checked and turned into arrays."""
import csv
import functools
import gzip
import io
import itertools
import os
import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mmsart.datasets.classes import CLASSES
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.ragged import exclusive_cumsum
from mmsart.structures.mask.rle import find_bad_texts, parse_rles
from mmsart.structures.mask.runs import (
    BadRleError,
    Runs,
    find_bad_runs,
    join_touching,
    run_boxes,
)
from mmsart.utils.errors import UserError, UserErrors, missing, named, shown

COLUMNS = ('id', 'annotation', 'width', 'height', 'cell_type', 'plate_time', 'sample_date',
           'sample_id', 'elapsed_timedelta')
"""Of the competition's file, in its order."""
REQUIRED_COLUMNS = ('id', 'annotation', 'width', 'height', 'cell_type', 'sample_id')
GZIP_MAGIC, NEWLINE = b'\x1f\x8b', b'\n'
WEIGHT_COLUMN = 'weight'


@dataclass(frozen=True)
class TrainTable:
    """Images and instances of a ``train.csv``.

    Images are sorted by id; the instances of an image follow each other in the order of the file.

    Attributes:
        path: the file.
        image_ids: str (I,).
        cell_types: str (I,).
        sample_ids: str (I,), the field of view; the image's own id where the column is blank.
        sizes: int64 (I, 2), (h, w) in pixels.
        rows: int64 (I,), the first row of the file that names the image.
        splits: int64 (I + 1,), instances of image i are ``splits[i]:splits[i + 1]``.
        annotations: object (N,), run-length codes as text.
        bboxes: int64 (N, 4), half-open xyxy in pixels.
        areas: int64 (N,), pixels.
        weights: float64 (N,), what each instance counts in the losses of a training, in [0, 1];
            None without a column ``weight``.
    """

    path: Path
    image_ids: np.ndarray
    cell_types: np.ndarray
    sample_ids: np.ndarray
    sizes: np.ndarray
    rows: np.ndarray
    splits: np.ndarray
    annotations: np.ndarray
    bboxes: np.ndarray
    areas: np.ndarray
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def classes(self) -> tuple[str, ...]:
        """Its cell types: the competition's in their order, then others by name."""
        found = set(self.cell_types.tolist())
        return (*(name for name in CLASSES if name in found), *sorted(found - set(CLASSES)))

    def instances(self, image: int) -> slice:
        """Return the rows of one image.

        Args:
            image: its index.

        Returns:
            A slice into the arrays over instances.
        """
        return slice(int(self.splits[image]), int(self.splits[image + 1]))

    def runs(self, image: int) -> Runs:
        """Return the row-major runs of an image's masks."""
        return parse_rles(self.annotations[self.instances(image)].tolist())

    def masks(self, image: int) -> PatchMasks:
        """Return an image's masks."""
        return PatchMasks.from_runs(self.runs(image), *self.sizes[image].tolist())

    def sizes_by_id(self) -> dict[str, tuple[int, int]]:
        """Return (h, w) of each image in pixels."""
        return {name: (height, width) for name, (height, width) in zip(
            self.image_ids.tolist(), self.sizes.tolist(), strict=True)}


def read_train_csv(
        path: str | os.PathLike, classes: Sequence[str] | None = CLASSES) -> TrainTable:
    """Read a ``train.csv`` in the competition's format and check every row.

    A row without annotation stands for an image without cells. Rows are numbered as an editor
    numbers lines, the header being row 1.

    Args:
        path: a CSV file with the columns id, annotation, width, height, cell_type and sample_id;
            values of sample_id may be blank. A column weight says what each instance counts in
            the losses of a training; further columns are passed over.
        classes: what cell_type may be; None for any name.

    Returns:
        Its images and instances. A repeated row is left out with a warning.

    Raises:
        MissingFileError: there is no such file.
        UserError: a column is missing or a value is not what it should be.
    """
    path = Path(path)
    if not path.is_file():
        raise missing(path, 'the annotation table (train.csv)')
    state = path.stat()
    return _read_version(path, state.st_mtime_ns, state.st_size,
                         None if classes is None else tuple(classes))


@functools.lru_cache(maxsize=2)
def _read_version(path: Path, _mtime_ns: int, _size: int,
                  classes: tuple[str, ...] | None) -> TrainTable:
    """Read the file once for all datasets of a run, and anew when it has changed."""
    frame = _read_frame(path)
    _check_columns(path, frame)
    _check_cell_types(path, frame, classes)
    _check_sizes(path, frame)
    _check_constant(path, frame)
    weights = _parse_weights(path, frame)
    runs = _parse_runs(path, frame, frame[['height', 'width']].to_numpy(np.int64))
    kept = _first_of_equals(path, frame, runs)
    frame, runs = frame[kept], runs.select(np.flatnonzero(kept))
    weights = None if weights is None else weights[kept]
    sizes = frame[['height', 'width']].to_numpy(np.int64)

    order = np.argsort(frame['id'].to_numpy(str), kind='stable')
    ids = frame['id'].to_numpy(str)[order]
    image_ids, first = np.unique(ids, return_index=True)
    rows = order[first]  # any row of an image knows its size and type
    boxes, areas = run_boxes(runs, sizes[:, 1])
    filled = areas[order] > 0
    per_image = np.add.reduceat(filled, first) if len(first) else np.empty(0, int)
    kept = order[filled]
    samples = frame['sample_id'].to_numpy(str)[rows]
    return TrainTable(
        path=path,
        image_ids=image_ids,
        cell_types=frame['cell_type'].to_numpy(str)[rows],
        sample_ids=np.where(np.char.strip(samples) == '', image_ids, samples),
        sizes=sizes[rows],
        rows=frame.index.to_numpy(np.int64)[rows],
        splits=exclusive_cumsum(per_image),
        annotations=frame['annotation'].to_numpy(object)[kept],
        bboxes=boxes[kept],
        areas=areas[kept],
        weights=None if weights is None else weights[kept])


def _fail(path: Path, row: int, column: str, problem: str) -> UserError:
    return UserError(f'{path}: row {row}, column {column}: {problem}')


def _read_frame(path: Path) -> pd.DataFrame:
    """Read the table as text, indexed by the line of the file in which a row begins."""
    csv.field_size_limit(2**31 - 1)  # a mask of a whole image can pass the default of 128 KiB
    rows: list[list[str]] = []
    lines, line = [], 1
    reader = csv.reader(io.StringIO(read_csv_text(path), newline=''), strict=True)
    try:
        for row in reader:
            if any(row) and (len(row) > 1 or row[0].strip()):  # else a blank line
                if rows and len(row) != len(rows[0]):
                    raise UserError(f'{path}: row {line}: found {len(row)} fields, expected '
                                    f'{len(rows[0])} as in the header')
                rows.append(row)
                lines.append(line)
            line = reader.line_num + 1  # quoted line breaks make a row longer
    except csv.Error as error:
        raise UserError(f'{path}: row {line}: not a CSV file: {error}') from error
    if not rows:
        raise UserError(f'{path}: the file is empty, expected a header and rows')
    header, *rows = rows
    header = [name.strip() for name in header]
    doubles = [name for name, count in Counter(header).items() if name and count > 1]
    if doubles:
        raise UserError(f'{path}: row 1: found column {named(doubles[:1])} twice, expected it once')
    return pd.DataFrame(rows, index=lines[1:], columns=header, dtype=object)


def read_csv_text(path: Path, row: str = 'row') -> str:
    """Read the text of a CSV file that may be compressed by gzip, or begin with a byte-order mark.

    Args:
        path: the file.
        row: what a message calls one of its lines.

    Returns:
        The text, with the line breaks as they are.

    Raises:
        UserError: the file is no text.
    """
    data = path.read_bytes()
    try:
        if data.startswith(GZIP_MAGIC):
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f'{path}: not a gzip file: {error}') from error
    wrong = data.find(0)  # pandas takes texts for equal that differ behind a zero
    if wrong < 0:
        try:
            return data.decode('utf-8-sig')
        except UnicodeDecodeError as error:
            wrong = error.start
    raise UserError(f'{path}: {row} {data.count(NEWLINE, 0, wrong) + 1}: not a CSV file: found the '
                    f'byte 0x{data[wrong]:02x}, expected UTF-8 text')


def _check_columns(path: Path, frame: pd.DataFrame) -> None:
    missing = [column for column in REQUIRED_COLUMNS if column not in frame.columns]
    if missing:
        raise UserError(
            f'{path}: row 1: column {missing[0]} is missing, found {named(frame.columns)}; '
            f'expected {", ".join(REQUIRED_COLUMNS)}')
    if frame.empty:
        raise UserError(f'{path}: no rows below the header, expected one row per instance')
    nameless = frame.index[frame['id'].str.strip() == '']
    if len(nameless):
        raise _fail(path, nameless[0], 'id', 'blank, expected an image id')
    for column in ('id', 'cell_type', 'sample_id'):  # with a blank it would be another one
        stripped = frame[column].str.strip()
        padded = frame.index[(frame[column] != stripped) & (stripped != '')]
        if len(padded):
            raise _fail(path, padded[0], column, f'found {shown(frame[column][padded[0]])}, '
                        'expected no blanks at the ends')
    odd = frame.index[frame['id'].str.contains(r'[/\\]|^\.')]
    if len(odd):
        raise _fail(path, odd[0], 'id',
                    f'found {shown(frame["id"][odd[0]])}, expected a file name without folder or '
                    'ending')


def _first_of_equals(path: Path, frame: pd.DataFrame, runs: Runs) -> np.ndarray:
    """Tell which rows are the first of their image and mask, bool (rows,).

    Masks are compared by their pixels: blanks and runs cut in two make no other cell.
    """
    joined = join_touching(runs)
    pairs = np.stack([joined.starts, joined.lengths], axis=1)
    masks = [pairs[begin:end].tobytes()
             for begin, end in itertools.pairwise(joined.splits.tolist())]
    repeated = pd.DataFrame(dict(id=frame['id'].to_numpy(), mask=masks)).duplicated().to_numpy()
    if repeated.any():
        warnings.warn(
            f'{path}: {repeated.sum()} duplicate rows left out, the first is row '
            f'{frame.index[repeated][0]}', stacklevel=4)
    return ~repeated


def _check_cell_types(
        path: Path, frame: pd.DataFrame, classes: tuple[str, ...] | None) -> None:
    expected = 'a name' if classes is None else f'one of {", ".join(classes)}'
    known = frame['cell_type'].str.strip() != '' if classes is None else (
        frame['cell_type'].isin(classes))
    unknown = frame.index[~known]
    if len(unknown):
        raise _fail(path, unknown[0], 'cell_type',
                    f'found {shown(frame["cell_type"][unknown[0]])}, expected {expected}')


def _check_sizes(path: Path, frame: pd.DataFrame) -> None:
    for column in ('height', 'width'):
        whole = frame[column].str.fullmatch(r'[0-9]{1,6}')
        wrong = frame.index[~whole | (frame[column].str.strip('0') == '')]
        if len(wrong):
            raise _fail(path, wrong[0], column,
                        f'found {shown(frame[column][wrong[0]])}, expected a whole number of '
                        'pixels, at least 1')


def _parse_weights(path: Path, frame: pd.DataFrame) -> np.ndarray | None:
    """Read the column weight, float64 (rows,); None if there is none."""
    if WEIGHT_COLUMN not in frame.columns:
        return None
    weights = pd.to_numeric(frame[WEIGHT_COLUMN], errors='coerce').to_numpy(float)
    wrong = np.flatnonzero(~((weights >= 0) & (weights <= 1)))
    if len(wrong):
        found = frame[WEIGHT_COLUMN].iloc[wrong[0]]
        raise _fail(path, frame.index[wrong[0]], WEIGHT_COLUMN,
                    f'found {shown(found)}, expected a number from 0 to 1')
    return weights


def _check_constant(path: Path, frame: pd.DataFrame) -> None:
    """Refuse images whose rows disagree about what an image has one of."""
    codes, _ = pd.factorize(frame['id'])
    _, first = np.unique(codes, return_index=True)
    for column in ('cell_type', 'width', 'height', 'sample_id'):
        values = frame[column].to_numpy(object)
        expected = values[first][codes]
        differs = np.flatnonzero(values != expected)
        if len(differs):
            at = differs[0]
            raise _fail(path, frame.index[at], column,
                        f'image {named([frame["id"].iloc[at]])} has {shown(values[at])} here and '
                        f'{shown(expected[at])} in row {frame.index[first[codes[at]]]}, expected '
                        'one value per image')


def _parse_runs(path: Path, frame: pd.DataFrame, sizes: np.ndarray) -> Runs:
    texts, num_pixels = frame['annotation'].tolist(), sizes[:, 0] * sizes[:, 1]
    try:
        runs = parse_rles(texts)
        if find_bad_runs(runs, num_pixels) is None:
            return runs
    except BadRleError:
        pass
    bad = find_bad_texts(texts, num_pixels)
    raise UserErrors(*(str(_fail(path, frame.index[each.index], 'annotation', each.problem))
                       for each in bad))

"""A folder of results, as `mmsart predict` leaves it, read again."""
from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmsart.formats.cell_table import CELLPROFILER_NAMES
from mmsart.formats.label_image import NumberedMasks, read_label_image
from mmsart.formats.methods import read_methods
from mmsart.formats.names import OWN_FOLDER, SUMMARY_FILE
from mmsart.formats.saving import SAVERS
from mmsart.formats.summary import BY_HAND, DONE
from mmsart.structures.detections import Detections
from mmsart.structures.image_result import frame_suffix
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.utils import UserError, missing, shown

_COUNTS = 'cells_'  # of each class, as summary.csv names its columns
_NEEDED = ('image', 'stem', 'frames', 'height', 'width', 'cells', 'confluence', 'status',
           'warnings')
_NUMBERS = ('frames', 'height', 'width', 'cells', 'confluence')
_PERHAPS = ('cells_per_mm2', 'median_area_px', 'median_area_um2', 'mean_score', 'pixel_size_um',
            'seconds', *(f'{each}_by_hand' for each in BY_HAND))
_CELL_NUMBERS = ('t', 'z', 'label', 'score', 'area_px')


@dataclass(frozen=True)
class ResultFrame:
    """One plane of an image.

    Attributes:
        t: time, from 0.
        z: depth, from 0.
        detections: its cells, each with its label's number less 1 as place.
        preview: a picture of it; None if there is none.
    """

    t: int
    z: int
    detections: Detections
    preview: Path | None


@dataclass(frozen=True)
class ResultImage:
    """One row of the summary, and the files that belong to it.

    Attributes:
        folder: of the results.
        row: of summary.csv; what is empty there is None.
        classes: names in label order.
        cells: the table of its cells, with the column names of `cell_table`.
    """

    folder: Path
    row: dict[str, Any]
    classes: tuple[str, ...]
    cells: pd.DataFrame

    @property
    def name(self) -> str:
        """Of the image."""
        return self.row['image']

    @property
    def warnings(self) -> list[str]:
        """Lines that the summary has about it."""
        return [line for line in (self.row['warnings'] or '').split('; ') if line]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.row['height']), int(self.row['width'])

    def file(self, saver: str) -> Path:
        """Name the file of a format, given by its name."""
        return self.folder / f'{self.row["stem"]}{SAVERS[saver].ending}'

    def frames(self) -> list[ResultFrame]:
        """Read the masks, frame by frame.

        Raises:
            MissingFileError: there is no label image.
            UserError: files disagree about the image.
        """
        path = self.file('labels')
        planes = read_label_image(path)
        first = planes[0, 0].masks
        if (first.height, first.width) != self.size or len(planes) != self.row['frames']:
            raise UserError(
                f'{path}: found {len(planes)} frames of {first.width} x {first.height} '
                f'pixels, expected {self.row["frames"]} of {self.size[1]} x {self.size[0]} as in '
                f'{SUMMARY_FILE}')
        last_t, last_z = list(planes)[-1]
        frames = []
        for (t, z), numbered in planes.items():
            suffix = frame_suffix(t, z, (last_t + 1, last_z + 1))
            preview = self.folder / OWN_FOLDER / f'{self.row["stem"]}{suffix}.jpg'
            chosen = self.cells[(self.cells['t'] == t) & (self.cells['z'] == z)]
            frames.append(ResultFrame(
                t, z, self._detections(numbered, chosen), preview if preview.is_file() else None))
        return frames

    def _detections(self, numbered: NumberedMasks, cells: pd.DataFrame) -> Detections:
        table = self.file('table')
        numbers, masks = numbered
        highest = numbers.max(initial=0)
        if len(cells) < highest or not np.array_equal(
                cells['label'], np.arange(1, len(cells) + 1)):
            raise UserError(f'{table}: found {len(cells)} cells, expected {highest} in '
                            f'the order of their labels, as {self.file("labels").name} has them')
        unknown = set(cells['class']) - set(self.classes)
        if unknown:
            raise UserError(f'{table}: found the class {unknown.pop()!r}, expected one of '
                            f'{", ".join(self.classes)}')
        if len(cells) > len(masks):  # some share all their pixels with better ones
            boxes = np.zeros((len(cells), 4), np.int32)
            boxes[numbers - 1] = masks.boxes
            masks = PatchMasks(masks.data, boxes, masks.height, masks.width)
        labels = cells['class'].map({name: i for i, name in enumerate(self.classes)})
        return Detections(cells['score'].to_numpy(), labels.to_numpy(int), masks, masks.boxes,
                          img_id=self.name)


@dataclass(frozen=True)
class Results:
    """All images of a folder.

    Attributes:
        folder: where they are.
        classes: names in label order.
        images: those that were predicted.
        failed: rows of those that were not.
        methods: how they were made, see :func:`~mmsart.formats.methods.read_methods`.
    """

    folder: Path
    classes: tuple[str, ...]
    images: list[ResultImage]
    failed: list[dict[str, Any]]
    methods: list[dict[str, Any]]


def read_results(folder: str | os.PathLike) -> Results:
    """Read the tables of a folder of results.

    Args:
        folder: output of `mmsart predict`.

    Returns:
        The images, in the order of the summary.

    Raises:
        MissingFileError: there is no summary, or a table of cells is missing.
        UserError: a table is not what `mmsart predict` writes.
    """
    folder = Path(folder)
    path = folder / SUMMARY_FILE
    if not path.is_file():
        raise missing(path, 'the summary of a folder that mmsart predict wrote')
    summary = _read_csv(path, dict(image=str, stem=str, status=str, warnings=str))
    lost = [name for name in _NEEDED if name not in summary]
    if lost:
        raise UserError(f'{path}: no column {lost[0]}, expected a summary of mmsart predict')
    classes = tuple(
        name.removeprefix(_COUNTS) for name in
        summary.columns[summary.columns.get_loc('cells') + 1:summary.columns.get_loc('confluence')]
        if name.startswith(_COUNTS))
    _check_numbers(path, summary[summary['status'] == DONE],
                   [*_NUMBERS, *(f'{_COUNTS}{name}' for name in classes)])
    _check_numbers(path, summary, [name for name in _PERHAPS if name in summary], blank=True)
    rows = [{str(key): None if pd.isna(value) else value for key, value in row.items()}
            for row in summary.to_dict('records')]
    images = [ResultImage(folder, row, classes, _read_cells(folder, row))
              for row in rows if row['status'] == DONE]
    stems = {image.row['stem'] for image in images}
    methods = [dict(method, images=shown) for method in read_methods(folder)
               if (shown := [stem for stem in method['images'] if stem in stems])]
    return Results(folder, classes, images, [row for row in rows if row['status'] != DONE], methods)


def _read_cells(folder: Path, row: dict[str, Any]) -> pd.DataFrame:
    path = folder / f'{row["stem"]}{SAVERS["table"].ending}'
    if not path.is_file():
        raise missing(path, 'the table of cells: predict with --save table')
    # Classes may be called 1 and 2, which are no numbers.
    table = _read_csv(path, {'class': str, CELLPROFILER_NAMES['class']: str})
    if 'ObjectNumber' in table:
        table = table.rename(columns={new: old for old, new in CELLPROFILER_NAMES.items()})
    lost = [name for name in (*_CELL_NUMBERS, 'class') if name not in table]
    if lost:
        raise UserError(f'{path}: no column {lost[0]}, expected a table of mmsart predict')
    _check_numbers(path, table, _CELL_NUMBERS)
    return table


def _check_numbers(path: Path, table: pd.DataFrame, columns: Sequence[str],
                   blank: bool = False) -> None:
    """Refuse texts in the place of numbers, and blanks unless they may be."""
    for name in columns:
        wrong = pd.to_numeric(table[name], errors='coerce').isna()
        wrong &= table[name].notna() if blank else True
        if wrong.any():
            row, found = table.index[wrong][0] + 2, table[name][wrong].tolist()[0]
            raise UserError(f'{path}: row {row}, column {name}: found '
                            f'{"a blank" if found != found else shown(found)}, expected a number')


def _read_csv(path: Path, dtype: dict[str, Any]) -> pd.DataFrame:
    try:
        # Pandas takes a ~ at the beginning of a path for a home folder, so it gets an open file.
        with path.open(encoding='utf-8', newline='') as file:
            return pd.read_csv(file, dtype=dtype, keep_default_na=False, na_values=[''])
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f'{path}: not a CSV file: {error}') from error

"""The page: one HTML file that needs nothing beside it and nothing from a network."""
from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from mmsart import __version__
from mmsart.evaluation.error_counts import MIXED
from mmsart.evaluation.functional import IOU_THRS
from mmsart.evaluation.functional.error_kinds import GT_KINDS
from mmsart.formats.summary import BY_HAND, read_colours
from mmsart.report import MAX_PICTURES, charts
from mmsart.report.results import ResultFrame, ResultImage, Results, read_results
from mmsart.report.truth import (
    ALL,
    Comparison,
    TruthIndex,
    compare,
    precision_table,
    read_truth,
)
from mmsart.report.views import draw_frame, thumbnail, view
from mmsart.utils import UserError, atomic_write, check_target

REPORT_FILE = 'report.html'
EXTREMES = 12  # best and worst images shown, each

_LINK = {ALL: charts.INK, MIXED: '#cc79a7'}


@dataclass
class _Entry:
    """An image on its way to the page."""

    image: ResultImage
    number: int
    comparison: Comparison | None = None
    chosen: bool = False


def write_report(folder: str | os.PathLike, truth: str | os.PathLike | None = None,
                 out: str | os.PathLike | None = None,
                 pictures: int = MAX_PICTURES) -> Path:
    """Write a page about a folder of results.

    Args:
        folder: output of `mmsart predict`, with tables and label images.
        truth: ``train.csv`` or COCO annotations of these images or of some of them.
        out: the file; by default ``report.html`` in the folder.
        pictures: number of frames with pictures on the page at most: flagged images first, then the
            worst and the best, then the others in their order. The page says which are left out.

    Returns:
        The file.

    Raises:
        MissingFileError: a file that the page needs is not there.
        UserError: a file is malformed, no image has a truth, or the page cannot be written.
    """
    target = Path(out) if out is not None else Path(folder) / REPORT_FILE
    if pictures < 0:
        raise UserError(f'--pictures: found {pictures}, expected a number of at least 0')
    results = read_results(folder)
    truths = None if truth is None else TruthIndex(read_truth(truth))
    check_target(target, '.html', [truth])
    entries = [_Entry(image, number) for number, image in enumerate(results.images)]
    if truths is not None:
        _compare_all(entries, truths, results, str(truth))
    left_out = _choose_pictures(entries, pictures)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('mmsart.report'), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    text = environment.get_template('report.html').render(
        _context(results, entries, left_out, str(truth) if truth is not None else None))
    with atomic_write(target) as temporary:
        temporary.write_text(text, encoding='utf-8')
    return target


def _compare_all(entries: Sequence[_Entry], truths: TruthIndex, results: Results,
                 path: str) -> None:
    """Compare the images of one frame that have a truth."""
    for entry in entries:
        true = truths.find(entry.image.name)
        if true is not None and entry.image.row['frames'] == 1:
            [frame] = entry.image.frames()
            entry.comparison = compare(frame.detections, true, results.classes)
    if not any(entry.comparison for entry in entries):
        raise UserError(f'{path}: none of the {len(truths)} images is one of the {len(entries)} of '
                        f'{results.folder}, expected the same names')


def _choose_pictures(entries: Sequence[_Entry], pictures: int) -> int:
    """Mark the images whose pictures the page holds; give the number of frames left out."""
    ranked = _by_score(entries)
    order = [entry for entry in entries if entry.image.warnings]
    order += ranked[:EXTREMES] + ranked[-EXTREMES:] + list(entries)
    room = pictures
    for entry in {entry.number: entry for entry in order}.values():
        frames = int(entry.image.row['frames'])
        if frames <= room:
            entry.chosen = True
            room -= frames
    return sum(int(entry.image.row['frames']) for entry in entries if not entry.chosen)


def _by_score(entries: Sequence[_Entry]) -> list[_Entry]:
    """Order the images that have a truth, the worst first."""
    return sorted((entry for entry in entries if entry.comparison is not None),
                  key=lambda entry: entry.comparison.mean_precision)  # type: ignore[union-attr]


def _context(results: Results, entries: Sequence[_Entry], left_out: int,
             truth: str | None) -> dict[str, Any]:
    colours = read_colours(results.folder, results.classes)
    rows, views = [], {}
    for entry in entries:
        frames = entry.image.frames()
        drawings = [draw_frame(frame) for frame in (frames if entry.chosen else frames[:1])]
        if entry.chosen:
            views[entry.number] = [view(drawing, entry.comparison) for drawing in drawings]
        rows.append(_row(entry, frames, thumbnail(drawings[0], colours), results.classes))
    columns = ['class', 'score', 'area_px']
    tables = [image.cells[columns] for image in results.images if len(image.cells)]
    cells = pd.concat(tables) if tables else pd.DataFrame(columns=columns)
    counts = cells['class'].value_counts()
    return dict(
        version=__version__, folder=results.folder.resolve().name, rows=rows,
        classes=[dict(name=name, colour=charts.hex_colour(colour), count=int(counts.get(name, 0)))
                 for name, colour in zip(results.classes, colours, strict=True)],
        num_cells=len(cells), num_frames=sum(int(entry.image.row['frames']) for entry in entries),
        failed=results.failed, flagged=[row for row in rows if row['warnings']],
        left_out=left_out,
        methods=[(len(each['images']), each['text']) for each in results.methods],
        by_hand={way: sum(int(entry.image.row.get(f'{way}_by_hand') or 0) for entry in entries)
                 for way in BY_HAND},
        charts=[
            ('Cells in each image', charts.draw_counts(results, colours)),
            ('Areas', charts.draw_areas(cells, results.classes, colours)),
            ('Scores', charts.draw_scores(cells, results.classes, colours))],
        truth=None if truth is None else _truth_context(entries, truth, results, colours),
        data=dict(
            classes=list(results.classes), colours=[charts.hex_colour(each) for each in colours],
            views=views, names=[row['name'] for row in rows],
            warnings=[row['warnings'] for row in rows]))


def _row(entry: _Entry, frames: Sequence[ResultFrame], picture: str,
         classes: Sequence[str]) -> dict[str, Any]:
    row = entry.image.row
    return dict(
        number=entry.number, name=entry.image.name, thumbnail=picture, viewable=entry.chosen,
        frames=len(frames), size=f'{int(row["width"])} × {int(row["height"])}',
        cells=int(row['cells']),
        by_class=[(name, int(row[f'cells_{name}'])) for name in classes],
        confluence=row['confluence'], density=row.get('cells_per_mm2'),
        area=row['median_area_px'], area_um2=row.get('median_area_um2'), score=row['mean_score'],
        warnings=entry.image.warnings,
        precision=entry.comparison.mean_precision if entry.comparison else None,
        true_cells=entry.comparison.score.num_gt if entry.comparison else None)


def _truth_context(entries: Sequence[_Entry], path: str, results: Results,
                   class_colours: Sequence[tuple[int, int, int]]) -> dict[str, Any]:
    ranked = _by_score(entries)
    comparisons = [entry.comparison for entry in ranked if entry.comparison is not None]
    colours = _LINK | {name: charts.hex_colour(colour) for name, colour in zip(
        results.classes, class_colours, strict=True)}
    table = precision_table(comparisons)
    kinds = charts.count_kinds(comparisons)
    sizes = {ALL: len(comparisons)} | {
        name: sum(each.truth.cell_type == name for each in comparisons) for name in kinds}
    pairs = [(each.score.num_gt, each.score.num_pred, each.truth.cell_type)
             for each in comparisons]
    differences = np.array([found - true for true, found, _ in pairs])
    return dict(
        path=os.path.basename(path), compared=len(comparisons), of=len(entries),
        thresholds=[f'{threshold:.2f}' for threshold in IOU_THRS],
        table=[dict(name=name, images=sizes[name], values=[float(value) for value in row],
                    colour=colours.get(name, charts.INK)) for name, row in table.items()],
        kinds=[dict(name=name, counts=[counter[kind] for kind in charts.KIND_COLOURS],
                    total=sum(counter[kind] for kind in GT_KINDS))
               for name, counter in kinds.items()],
        kind_colours=charts.KIND_COLOURS,
        true_cells=sum(true for true, _, _ in pairs), found=sum(found for _, found, _ in pairs),
        mean_difference=float(np.abs(differences).mean()),
        charts=[('Precision by threshold', charts.draw_precision(table, colours)),
                ('Count against count', charts.draw_count_against_count(pairs, colours)),
                ('Kinds of errors', charts.draw_kinds(kinds))],
        worst=[entry.number for entry in ranked[:EXTREMES]],
        best=[entry.number for entry in ranked[::-1][:EXTREMES]])

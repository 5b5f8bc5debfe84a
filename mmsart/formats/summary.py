"""One row about each image: how many cells there are, how large, how certain."""
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmsart.formats.names import OWN_FOLDER
from mmsart.structures.image_result import CHANGED, DRAWN, ImageResult, class_colours
from mmsart.utils import UserError, atomic_write

COLOURS_FILE = f'{OWN_FOLDER}/colours.csv'
"""Of the classes, in a folder of results."""

DONE = 'ok'
"""Status of an image that was predicted."""

BY_HAND = (DRAWN, CHANGED, 'removed')
"""What a hand may have done to cells, each counted in a column."""


def summary_columns(classes: Sequence[str]) -> list[str]:
    """Name the columns, in order.

    Args:
        classes: names in label order.
    """
    return [
        'image', 'stem', 'frames', 'height', 'width', 'cells',
        *(f'cells_{name}' for name in classes), 'confluence', 'cells_per_mm2', 'median_area_px',
        'median_area_um2', 'mean_score', 'pixel_size_um', 'pixel_size_source', 'seconds',
        'status', 'warnings', 'axes', 'channel', 'black', 'white', 'scaling',
        *(f'{each}_by_hand' for each in BY_HAND), 'date']


def summarize_image(result: ImageResult, stem: str = '') -> dict[str, Any]:
    """Sum up an image or stack.

    Args:
        result: what was found.
        stem: begin of the names of its files.

    Returns:
        Values of :func:`summary_columns`: cells of all frames together; ``confluence``, the share
        of pixels that belong to a cell; ``cells_per_mm2`` of one frame, on average; medians and
        means over all cells; ``black`` and ``white``, the grey values shown as such; how many
        cells a hand has drawn, changed and removed; None where something is not known.
    """
    height, width = result.size
    hand: Counter[str] = Counter()
    parts = []
    for frame in result.frames:  # once: it may be read from a file each time
        cells = frame.detections
        parts.append((cells.masks.areas, cells.labels, cells.scores, [cells.masks.union().mean()]))
        hand.update(frame.origins, removed=frame.removed)
    areas, labels, scores, covered = map(np.concatenate, zip(*parts, strict=True))
    black, white = result.display_range or (None, None)
    counts = np.bincount(labels, minlength=len(result.classes))
    median = float(np.median(areas)) if len(areas) else None
    row: dict[str, Any] = {
        'image': result.name, 'stem': stem, 'frames': len(covered),
        'height': height, 'width': width, 'cells': len(areas),
        **{f'cells_{name}': int(count)
           for name, count in zip(result.classes, counts, strict=True)},
        'confluence': float(covered.mean()),
        'cells_per_mm2': None, 'median_area_px': median, 'median_area_um2': None,
        'mean_score': float(scores.mean()) if len(scores) else None,
        'pixel_size_um': result.pixel_size, 'pixel_size_source': result.pixel_size_source,
        'seconds': result.seconds, 'status': DONE, 'warnings': '; '.join(result.warnings),
        'axes': result.axes, 'channel': result.channel, 'black': black, 'white': white,
        'scaling': result.scaling, **{f'{each}_by_hand': hand[each] for each in BY_HAND},
        'date': result.date}
    if result.pixel_size is not None:
        row['cells_per_mm2'] = 1e6 * len(areas) / (
            len(covered) * height * width * result.pixel_size ** 2)
        if median is not None:
            row['median_area_um2'] = median * result.pixel_size ** 2
    return row


def failed_image(name: str, reason: str) -> dict[str, Any]:
    """Make the row of an image that could not be predicted.

    Args:
        name: of the image.
        reason: one line.
    """
    return {'image': name, 'status': f'failed: {reason}'}


def write_colours(folder: str | os.PathLike, classes: Sequence[str],
                  colours: Sequence[tuple[int, int, int]]) -> None:
    """Keep the colours of the classes beside the results, for those who draw them later.

    Args:
        folder: of the results.
        classes: names in label order.
        colours: RGB of each.
    """
    table = pd.DataFrame(list(colours), columns=['red', 'green', 'blue'])
    table.insert(0, 'class', list(classes))
    _write_table(Path(folder) / COLOURS_FILE, table)


def read_colours(folder: str | os.PathLike, classes: Sequence[str]) -> list[tuple[int, int, int]]:
    """Read the colours of the classes.

    Args:
        folder: of the results.
        classes: names in label order.

    Returns:
        RGB of each; those of :data:`~mmsart.structures.image_result.OKABE_ITO` where the folder
        does not say.

    Raises:
        UserError: the file is malformed.
    """
    colours = class_colours(len(classes))
    path = Path(folder) / COLOURS_FILE
    if not path.is_file():
        return colours
    try:
        with path.open(encoding='utf-8', newline='') as file:  # see _write_table
            table = pd.read_csv(file, dtype={'class': str}, keep_default_na=False)
        known = {row['class']: (int(row['red']), int(row['green']), int(row['blue']))
                 for row in table.to_dict('records')}
    except (ValueError, KeyError) as error:
        raise UserError(f'{path}: unreadable, expected class, red, green and blue: {error}'
                        ) from error
    return [known.get(name, colour) for name, colour in zip(classes, colours, strict=True)]


def write_summary(path: str | os.PathLike, rows: Iterable[dict[str, Any]],
                  classes: Sequence[str]) -> None:
    """Write the rows as CSV; what a row does not hold stays empty.

    Args:
        path: the file to write.
        rows: of :func:`summarize_image` and :func:`failed_image`.
        classes: names in label order.
    """
    table = pd.DataFrame(list(rows), columns=summary_columns(classes))
    whole = ['frames', 'height', 'width', 'cells', *(f'cells_{name}' for name in classes),
             *(f'{each}_by_hand' for each in BY_HAND)]
    table[whole] = table[whole].astype('Int64')  # with gaps, not as 337.0
    _write_table(path, table)


def _write_table(path: str | os.PathLike, table: pd.DataFrame) -> None:
    # Pandas takes a ~ at the beginning of a path for a home folder, so it gets an open file.
    with (atomic_write(path) as temporary,
          temporary.open('w', encoding='utf-8', newline='') as file):
        table.to_csv(file, index=False, float_format='%.6g', lineterminator='\n')

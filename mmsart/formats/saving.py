"""Formats by name: what `--save` may ask for, and how each is written."""
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmsart.formats.cell_table import write_cell_table
from mmsart.formats.coco import write_coco
from mmsart.formats.geojson import write_geojson
from mmsart.formats.imagej_roi import write_imagej_rois
from mmsart.formats.label_image import write_label_image
from mmsart.structures.image_result import ImageResult
from mmsart.utils import UserError

DEFAULT_FORMATS = ('table', 'labels')


@dataclass(frozen=True)
class SaveOptions:
    """How formats are written that leave a choice.

    Args:
        cellprofiler: whether the table has CellProfiler's column names.
    """

    cellprofiler: bool = False


@dataclass(frozen=True)
class Saver:
    """One format.

    Attributes:
        ending: of the file's name, behind that of the image.
        write: writes a file.
        summary: what it is, in a few words, for ``--help``.
    """

    ending: str
    write: Callable[[Path, ImageResult, SaveOptions], None]
    summary: str


SAVERS = {
    'table': Saver(
        '_cells.csv', lambda path, result, options: write_cell_table(
            path, result, options.cellprofiler), 'place, shape and brightness of each cell'),
    'labels': Saver(
        '_masks.tif', lambda path, result, _: write_label_image(path, result),
        'label image, a TIFF for ImageJ and others'),
    'rois': Saver(
        '_rois.zip', lambda path, result, _: write_imagej_rois(path, result),
        'regions for ImageJ and Fiji'),
    'geojson': Saver(
        '.geojson', lambda path, result, _: write_geojson(path, result),
        'detections for QuPath'),
    'coco': Saver(
        '_coco.json', lambda path, result, _: write_coco(path, result), 'COCO annotations'),
}
"""The formats by name. Each gives one file an image, or one a frame of a stack."""


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """Refuse formats that do not exist, before the work whose result they are to hold.

    Args:
        formats: names.

    Returns:
        The names, each once.

    Raises:
        UserError: a name is none of :data:`SAVERS`, or there is none.
    """
    unknown = [name for name in formats if name not in SAVERS]
    if unknown or not formats:
        raise UserError(f'--save: found {unknown[0] if unknown else "nothing"}, expected one or '
                        f'more of {", ".join(SAVERS)}')
    return tuple(dict.fromkeys(formats))


def save_result(result: ImageResult, folder: str | os.PathLike, stem: str,
                formats: Sequence[str] = DEFAULT_FORMATS,
                options: SaveOptions | None = None) -> list[Path]:
    """Write what was found in an image, in several formats.

    Each file appears whole or not at all.

    Args:
        result: what was found.
        folder: where to write; made if it is missing.
        stem: begin of the files' names.
        formats: names of :data:`SAVERS`.
        options: of formats that leave a choice.

    Returns:
        The files.

    Raises:
        UserError: a format does not exist, or cannot hold the image; `folder` cannot be written.

    Example:
        >>> save_result(result, 'out', 'dish 1', ['labels', 'rois'])  # doctest: +SKIP
        [PosixPath('out/dish 1_masks.tif'), PosixPath('out/dish 1_rois.zip')]
    """
    paths = []
    for name in check_formats(formats):
        saver = SAVERS[name]
        path = Path(folder) / f'{stem}{saver.ending}'
        saver.write(path, result, options or SaveOptions())
        paths.append(path)
    return paths

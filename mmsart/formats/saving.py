"""Formats by name: what `--save` may ask for, and how each is written."""
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmsart.formats.cell_table import write_cell_table
from mmsart.formats.coco import merge_coco, write_coco
from mmsart.formats.geojson import write_geojson
from mmsart.formats.imagej_roi import write_imagej_rois
from mmsart.formats.label_image import write_label_image
from mmsart.formats.names import DEFAULT_FORMATS
from mmsart.formats.overlay import FILL, write_overlay
from mmsart.formats.submission import merge_submissions, write_submission
from mmsart.imaging import name_id
from mmsart.structures.image_result import FrameResult, ImageResult
from mmsart.utils import UserError


@dataclass(frozen=True)
class SaveOptions:
    """How formats are written that leave a choice.

    Args:
        numbers: whether pictures have the label of each cell in it.
        cellprofiler: whether the table has CellProfiler's column names.
    """

    numbers: bool = False
    cellprofiler: bool = False


@dataclass(frozen=True)
class Saver:
    """A format of one file per image.

    Attributes:
        ending: of the file's name, behind that of the image.
        write: writes the file.
    """

    ending: str
    write: Callable[[Path, ImageResult, SaveOptions], None]

    def paths(self, folder: Path, stem: str, _: ImageResult) -> list[Path]:
        """Return the path of the file."""
        return [folder / f'{stem}{self.ending}']

    def __call__(self, folder: Path, stem: str, result: ImageResult,
                 options: SaveOptions) -> list[Path]:
        """Write the file and return its path."""
        paths = self.paths(folder, stem, result)
        self.write(paths[0], result, options)
        return paths


@dataclass(frozen=True)
class FrameSaver:
    """A format of one file per frame; in a stack their names have the frame's place in them.

    Attributes: as of `Saver`.
    """

    ending: str
    write: Callable[[Path, FrameResult, ImageResult, SaveOptions], None]

    def paths(self, folder: Path, stem: str, result: ImageResult) -> list[Path]:
        """Return the paths of the files."""
        return [folder / f'{stem}{result.frame_suffix(frame)}{self.ending}'
                for frame in result.frames]

    def __call__(self, folder: Path, stem: str, result: ImageResult,
                 options: SaveOptions) -> list[Path]:
        """Write the files and return their paths."""
        paths = self.paths(folder, stem, result)
        for path, frame in zip(paths, result.frames, strict=True):
            self.write(path, frame, result, options)
        return paths


SAVERS: dict[str, Saver | FrameSaver] = {
    'table': Saver(
        '_cells.csv', lambda path, result, options: write_cell_table(
            path, result, options.cellprofiler)),
    'outlines': FrameSaver(
        '_outlines.png', lambda path, frame, result, options: write_overlay(
            path, frame, result, numbers=options.numbers)),
    'overlay': FrameSaver(
        '_overlay.png', lambda path, frame, result, options: write_overlay(
            path, frame, result, fill=FILL, numbers=options.numbers)),
    'labels': Saver(
        '_masks.tif', lambda path, result, _: write_label_image(path, result)),
    'rois': Saver(
        '_rois.zip', lambda path, result, _: write_imagej_rois(path, result)),
    'geojson': Saver(
        '.geojson', lambda path, result, _: write_geojson(path, result)),
    'coco': Saver(
        '_coco.json', lambda path, result, _: write_coco(path, result)),
    'submission': Saver(
        '_submission.csv', lambda path, result, _: _write_submission(path, result)),
}
"""The formats by name; :data:`mmsart.formats.names.FORMATS` says what each is."""

MERGED: dict[str, tuple[tuple[str, ...], Callable[..., Any]]] = {
    'coco': (('coco.json', 'coco_results.json'), merge_coco),
    'submission': (('submission.csv',), merge_submissions),
}
"""Formats whose files of several images are joined: the files of all, and what writes them."""


def check_formats(formats: Sequence[str], place: str = '--save') -> tuple[str, ...]:
    """Refuse formats that do not exist, before the work whose result they are to hold.

    Args:
        formats: names.
        place: where they stand, for messages.

    Returns:
        The names, each once.

    Raises:
        UserError: a name is none of :data:`SAVERS`, or there is none.
    """
    unknown = [name for name in formats if name not in SAVERS]
    if unknown or not formats:
        raise UserError(f'{place}: found {unknown[0] if unknown else "nothing"}, expected one or '
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
    return [path for name in check_formats(formats)
            for path in SAVERS[name](Path(folder), stem, result, options or SaveOptions())]


def result_paths(result: ImageResult, folder: str | os.PathLike, stem: str,
                 formats: Sequence[str] = DEFAULT_FORMATS) -> list[Path]:
    """List the files that :func:`save_result` writes.

    Args:
        result: what was found.
        folder: where to write.
        stem: begin of the files' names.
        formats: names of :data:`SAVERS`.

    Returns:
        The files, written or not.
    """
    return [path for name in formats for path in SAVERS[name].paths(Path(folder), stem, result)]


def merge_files(files: Sequence[Path], folder: Path, formats: Sequence[str]) -> list[Path]:
    """Join what was written about several images, in the formats that :data:`MERGED` has.

    Args:
        files: of all images, in their order; those of other formats are passed over.
        folder: where to write.
        formats: names of :data:`SAVERS`.

    Returns:
        The files of all images together.

    Raises:
        UserError: two files say different things, or one was changed.
    """
    merged: list[Path] = []
    for name, (targets, merge) in MERGED.items():
        if name in formats:
            paths = [folder / target for target in targets]
            merge([file for file in files if file.name.endswith(SAVERS[name].ending)], *paths)
            merged += paths
    return merged


def _write_submission(path: Path, result: ImageResult) -> None:
    """Write the frames under the id of their image; those of a stack get their place behind it."""
    def name(frame: FrameResult) -> str:
        own = frame.detections.img_id or name_id(result.name)
        return f'{own}{result.frame_suffix(frame)}'

    write_submission(path, ((name(frame), frame.detections) for frame in result.frames),
                     [name(frame) for frame in result.frames])

"""What was done of a batch: a record per image, written last, by which it can be resumed."""
from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmsart.formats.names import OWN_FOLDER
from mmsart.imaging.inputs import InputImage
from mmsart.utils import UserError, atomic_write, check_writable

TEMPORARY = re.compile(r'\.(.+)-\w{8}(\.\w+)')  # as atomic_write names its files


class BatchRecords:
    """The records in a folder of results.

    Args:
        out: the folder.
        series: number of the image that is read of a file, where an entry says none.
        settings: all that decides what the files of an image hold.
    """

    def __init__(self, out: Path, series: int | None, settings: Mapping[str, Any]) -> None:
        self._out, self._series = out, series
        self._settings = json.dumps(settings, sort_keys=True, default=str)

    def has(self, image: InputImage) -> bool:
        """Return whether an image is done, with these settings and as its file is now."""
        record = _read_record(_record_path(self._out, image.stem))
        return (record is not None and 'error' not in record
                and record.get('fingerprint') == self._fingerprint(image)
                and all((self._out / name).is_file() for name in record['files']))

    def files_of(self, image: InputImage) -> set[str]:
        """Name the files of the last time, which may have had other formats or frames."""
        record = _read_record(_record_path(self._out, image.stem))
        return set() if record is None else set(record['files'])

    def read(self, image: InputImage) -> dict[str, Any]:
        """Read the record that :meth:`write` has written."""
        return json.loads(_record_path(self._out, image.stem).read_text())

    def write(self, image: InputImage, record: Mapping[str, Any]) -> None:
        """Write that an image is done, once its files are there.

        Args:
            image: what was looked at.
            record: its ``files`` below the folder, its ``row`` of the summary and what else is to
                come back.
        """
        path, series = _place(image, self._series)
        _write_record(self._out, image.stem, dict(
            path=path, series=series, fingerprint=self._fingerprint(image), **record))

    def others(self, images: Sequence[InputImage]) -> list[str]:
        """List the stems of results of other images."""
        stems = {image.stem for image in images}
        return [stem for stem, record in read_records(self._out)
                if record['files'] and stem not in stems]

    def remove_leftovers(self, images: Sequence[InputImage], endings: Sequence[str]) -> None:
        """Take away the half-written files of a batch that was killed.

        Args:
            images: that are not done.
            endings: of the names of files that were being written beside the records.
        """
        stems = {(self._out / image.stem).name for image in images}
        for folder in {path.parent for image in images for path in (
                self._out / image.stem, _record_path(self._out, image.stem))}:
            for entry in folder.glob('.*') if folder.is_dir() else ():
                found = TEMPORARY.fullmatch(entry.name)
                name = found[1] + found[2] if found else ''
                if name.endswith(('.json', *endings)) and any(
                        name.startswith(stem) for stem in stems):
                    entry.unlink()

    def _fingerprint(self, image: InputImage) -> str:
        """Hash the settings, the file's size and the time of its last change."""
        try:
            state = image.path.stat()
            known = (state.st_size, state.st_mtime_ns)
        except OSError:
            known = (0, 0)
        text = f'{self._settings} {os.path.realpath(image.path)} {image.series} {known}'
        return hashlib.sha256(os.fsencode(text)).hexdigest()


def mark_results(out: Path, stem: str, files: Sequence[Path], row: Mapping[str, Any]) -> Path:
    """Write a record by which files are known as results, though no batch can go on from it.

    Args:
        out: folder of the results.
        stem: begin of the names of the files of one image.
        files: of the image, in `out`.
        row: of the summary.

    Returns:
        The record's file.
    """
    return _write_record(out, stem, dict(
        path=None, series=None, row=row, files=[str(file.relative_to(out)) for file in files]))


def without_results(images: Sequence[InputImage], *folders: str | os.PathLike,
                    ) -> list[InputImage]:
    """Leave out what earlier batches have written: folders and a shell's patterns hold it too.

    Args:
        images: at least one.
        folders: of results, beside those that are found by the records in the images' own.

    Raises:
        UserError: nothing is left.
    """
    searched = {*map(Path, folders), *(folder for image in images for folder
                                       in image.path.parents[:len(Path(image.name).parts)])}
    written: set[str] = set().union(*map(results_in, searched))
    left = [image for image in images if os.path.realpath(image.path) not in written]
    if not left:
        raise UserError(f'{images[0].path}: found a result of an earlier batch, expected an image')
    return left


def results_in(folder: Path) -> set[str]:
    """Name the files that records in a folder call results, by their real paths."""
    return {os.path.realpath(folder / name) for _, record in read_records(folder)
            for name in record['files']}


def read_records(out: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read the records of earlier batches.

    Args:
        out: folder of their results; need not exist.

    Yields:
        The stem of each image, and its record.
    """
    for path in sorted((out / OWN_FOLDER).rglob('*.json')):
        record = _read_record(path)
        if record is not None:
            yield str(path.relative_to(out / OWN_FOLDER).with_suffix('')), record


def check_same_images(out: Path, images: Sequence[InputImage]) -> None:
    """Refuse images whose results would take the place of those of others.

    Args:
        out: folder of the results.
        images: to be looked at.

    Raises:
        UserError: there are results of another file, which is still there, under the name of one.
    """
    paths = {image.stem: image.path for image in images}
    for stem, record in read_records(out):
        path, other = paths.get(stem), record.get('path') or ''
        if path and os.path.realpath(path) != other and os.path.isfile(other) and record['files']:
            raise UserError(f'{path}: found results of {other} under the name {stem} in {out}, '
                            'expected the same pictures to --resume, or another --out')


def remove_results(out: Path, images: Sequence[InputImage] | None, series: int | None) -> None:
    """Take away results and their records.

    Args:
        out: folder of the results.
        images: whose results under earlier names go; None for all results.
        series: as of :class:`BatchRecords`.
    """
    stems: dict[tuple[str, int | None], set[str]] = {}
    for image in images or ():
        stems.setdefault(_place(image, series), set()).add(image.stem)
    for stem, record in read_records(out):
        place = record.get('path') or '', record.get('series')
        if images is None or stem not in stems.get(place, {stem}):
            for name in record['files']:
                (out / name).unlink(missing_ok=True)
            _record_path(out, stem).unlink()


def _place(image: InputImage, series: int | None) -> tuple[str, int | None]:
    """Return the file of an image and its number in it."""
    return os.path.realpath(image.path), series if image.series is None else image.series


def _record_path(out: Path, stem: str) -> Path:
    return out / OWN_FOLDER / f'{stem}.json'


def _write_record(out: Path, stem: str, record: Mapping[str, Any]) -> Path:
    path = _record_path(out, stem)
    check_writable(path.parent)
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(record))
    return path


def _read_record(path: Path) -> dict[str, Any] | None:
    """Read the record of an image; None where there is none, or something else in its place."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    image, series, row, files = (
        record.get(key) for key in ('path', 'series', 'row', 'files'))
    right = (isinstance(image, str | None) and isinstance(series, int | None)
             and isinstance(row, dict) and isinstance(files, list)
             and all(isinstance(name, str) for name in files))
    return record if right else None

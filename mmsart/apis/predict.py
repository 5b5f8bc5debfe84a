"""Folders of pictures into folders of results: what ``mmsart predict`` does."""
from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import shutil
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch.distributed as dist
from tqdm import tqdm

from mmsart import __version__
from mmsart.apis.inference import CellSegmenter, Request, Segmentation
from mmsart.formats.names import OWN_FOLDER, SUMMARY_FILE
from mmsart.formats.preview import preview_paths, write_previews
from mmsart.formats.saving import (
    DEFAULT_FORMATS,
    MERGED,
    SAVERS,
    SaveOptions,
    check_formats,
    merge_files,
    result_paths,
    save_result,
)
from mmsart.formats.summary import (
    DONE,
    failed_image,
    summarize_image,
    write_colours,
    write_summary,
)
from mmsart.imaging.inputs import InputImage, find_inputs, with_series
from mmsart.imaging.read_options import ReadOptions
from mmsart.postprocessing import check_disjoint
from mmsart.structures.image_result import class_colours
from mmsart.utils import (
    IncompleteError,
    UnforeseenError,
    UserError,
    atomic_write,
    check_writable,
    readable,
)

TEMPORARY = re.compile(r'\.(.+)-\w{8}(\.\w+)')  # as atomic_write names its files
PATIENCE = datetime.timedelta(days=7)  # that fast processes have with slow ones


@dataclass(frozen=True)
class PredictOptions:
    """What a batch does beside finding cells.

    Attributes:
        save: names of formats.
        details: of formats that leave a choice.
        read: how files are read.
        all_series: look at every image of files that hold several.
        recursive: also search subfolders.
        resume: skip images that are done with the same settings.
        overwrite: take the place of results that are there.
        quiet: print no line per image and no bar.
    """

    save: Sequence[str] = DEFAULT_FORMATS
    details: SaveOptions = field(default_factory=SaveOptions)
    read: ReadOptions = field(default_factory=ReadOptions)
    all_series: bool = False
    recursive: bool = False
    resume: bool = False
    overwrite: bool = False
    quiet: bool = False


def predict_files(
        make_segmenter: Callable[[], CellSegmenter], inputs: Sequence[str | os.PathLike],
        out: str | os.PathLike, options: PredictOptions | None = None) -> None:
    """Find the cells of all images and write what was found, image by image.

    Every file appears whole or not at all, and an image's record comes last, so that a batch may
    be killed at any time and resumed. Started by torchrun, each process takes its share of the
    images, and the first writes what belongs to all.

    Args:
        make_segmenter: builds the model, once everything else was checked.
        inputs: files, folders and patterns.
        out: folder of the results.
        options: of the batch.

    Raises:
        UserError: an option is wrong, or `out` is in use or one of the `inputs`; nothing is written
            then.
        IncompleteError: all is done but for the files that it names.
    """
    options = options or PredictOptions()
    formats = _check_options(options)
    images = _without_results(find_inputs(inputs, options.recursive, exclude=out), Path(out))
    if options.all_series:
        images = with_series(images)
    with _processes() as (rank, count):
        _together(rank, lambda: _check_folder(Path(out), options, images))
        segmenter = make_segmenter()
        if 'submission' in formats:
            check_disjoint(segmenter.source.postprocess, '--save submission')
        _together(rank, lambda: _prepare_folder(Path(out), options, images))
        batch = _Batch(segmenter, Path(out), options, formats)
        batch.run(images[rank::count])
        problems = _together(rank, lambda: batch.finish(images))
    if problems and rank == 0:  # one voice is enough
        raise IncompleteError(*problems)


def _check_options(options: PredictOptions) -> tuple[str, ...]:
    if options.resume and options.overwrite:
        raise UserError('--resume: found --overwrite too, expected one of them')
    formats = check_formats(options.save)
    if options.details.cellprofiler and 'table' not in formats:
        raise UserError(f'--cellprofiler: found --save {",".join(formats)}, expected table in it')
    if options.details.numbers and not {'outlines', 'overlay'} & set(formats):
        raise UserError(f'--numbers: found --save {",".join(formats)}, expected outlines or '
                        'overlay in it')
    return formats


def _without_results(images: Sequence[InputImage], out: Path) -> list[InputImage]:
    """Leave out what earlier batches have written: patterns of a shell stand for it too.

    Their folders are known by the records in them, also where they are not that of this batch.
    """
    folders = {out, *(folder for image in images
                      for folder in image.path.parents[:len(Path(image.name).parts)])}
    written = {os.path.realpath(folder / name) for folder in folders
               for _, record in _records(folder) for name in record['files']}
    left = [image for image in images if os.path.realpath(image.path) not in written]
    if not left:
        raise UserError(f'{images[0].path}: found a result of an earlier batch, expected an image')
    return left


def _check_folder(out: Path, options: PredictOptions, images: Sequence[InputImage]) -> None:
    """Refuse a folder that is in use, unless the user says what to do with it.

    Raises:
        UserError: there are files and no option, or a batch of other pictures, which is to go on,
            has results of the same names.
    """
    if out.is_dir() and any(out.iterdir()) and not (options.resume or options.overwrite):
        raise UserError(f'{out}: found files in the folder, expected an empty one, --resume or '
                        '--overwrite')
    paths = {image.stem: image.path for image in images}
    for stem, record in _records(out) if options.resume else ():
        path, other = paths.get(stem), record.get('path') or ''
        if path and os.path.realpath(path) != other and os.path.isfile(other) and record['files']:
            raise UserError(f'{path}: found results of {other} under the name {stem} in {out}, '
                            'expected the same pictures to --resume, or another --out')


def _prepare_folder(out: Path, options: PredictOptions, images: Sequence[InputImage]) -> None:
    """Make the folder, without earlier results that are to be overwritten or have another name."""
    stems = {_place(image, options): image.stem for image in images}
    for stem, record in _records(out):
        place = record.get('path') or '', record.get('series')
        if options.overwrite or stems.get(place, stem) != stem:
            for name in record['files']:
                (out / name).unlink(missing_ok=True)
            _record_path(out, stem).unlink()
    if options.overwrite:
        for name in (SUMMARY_FILE, *(name for names, _ in MERGED.values() for name in names)):
            (out / name).unlink(missing_ok=True)
        shutil.rmtree(out / OWN_FOLDER, ignore_errors=True)
    check_writable(out)
    check_writable(out / OWN_FOLDER)


class _Batch:
    """The images of one process, and at the end what belongs to all."""

    def __init__(self, segmenter: CellSegmenter, out: Path, options: PredictOptions,
                 formats: tuple[str, ...]) -> None:
        self.segmenter, self.out, self.options, self.formats = segmenter, out, options, formats
        settings = dict(
            version=__version__, model=segmenter.source.fingerprint(), read=vars(options.read),
            save=sorted(options.save), details=vars(options.details))
        self._settings = json.dumps(settings, sort_keys=True, default=str)
        self._started = time.perf_counter()

    def run(self, images: Sequence[InputImage]) -> None:
        """Look at the images that are not done yet."""
        source = self.segmenter.source
        self._say(f'model {source.name} on {self.segmenter.device}, post-processing settings: '
                  f'{source.postprocess_source}')
        waiting = [image for image in images if not self._is_done(image)]
        if self.options.resume:
            self._remove_leftovers(waiting)
        if len(waiting) < len(images):
            self._say(f'{len(images) - len(waiting)} of {len(images)} images are already done')
        found = self.segmenter.stream(self._request(image) for image in waiting)
        # The bar shows the time that is left; on what is no terminal it is left out.
        bar = tqdm(total=len(waiting), unit='image', dynamic_ncols=True,
                   disable=True if self.options.quiet else None)
        with bar:
            for image, (_, result) in zip(waiting, found, strict=True):
                self._write(image, result)
                bar.update()

    def _request(self, image: InputImage) -> Request:
        read = self.options.read
        if image.series is not None:
            read = replace(read, series=image.series)
        return Request(image.path, read, image.name, image.stem)

    def finish(self, images: Sequence[InputImage]) -> list[str]:
        """Write the files of all images together.

        Returns:
            A line on each image that could not be predicted.
        """
        records = [json.loads(_record_path(self.out, image.stem).read_text()) for image in images]
        classes = self.segmenter.classes
        write_summary(self.out / SUMMARY_FILE, (record['row'] for record in records), classes)
        write_colours(
            self.out, classes, class_colours(len(classes), self.segmenter.source.palette))
        done = [record for record in records if record['row']['status'] == DONE]
        merge_files([self.out / file for record in done for file in record['files']],
                    self.out, self.formats)
        for cap, count in Counter(cap for record in done for cap in record['caps']).items():
            self._say(f'{cap} was reached in {count} of {len(images)} images, which may hold more')
        self._summarize([record['row'] for record in done], len(images))
        stems = {image.stem for image in images}
        if others := [stem for stem, record in _records(self.out)
                     if record['files'] and stem not in stems]:
            self._say(f'{len(others)} more images, such as {others[0]}, have results in {self.out} '
                      f'of an earlier time; {SUMMARY_FILE} is about the images of this time alone')
        return [record['error'] for record in records if 'error' in record]

    def _write(self, image: InputImage, result: Segmentation | UserError) -> None:
        """Save what was found, and the record when nothing else is there and all of it is."""
        path, series = _place(image, self.options)
        record: dict[str, Any] = dict(
            path=path, series=series, fingerprint=self._fingerprint(image), files=[])
        possible = self._earlier_files(image)
        if isinstance(result, Segmentation):
            with closing(result):
                files = self._files(image, result)
                possible.update(files)
                try:
                    save_result(result, self.out, image.stem, self.formats, self.options.details)
                    write_previews(self.out / OWN_FOLDER, image.stem, result)
                    record |= dict(files=files, row=summarize_image(result, image.stem),
                                   caps=result.caps)
                    self._say(_line(result))
                except UserError as wrong:
                    result = wrong
                except OSError:  # such as a full disk, which the next image meets too
                    raise
                except Exception as defect:
                    result = UnforeseenError(image.name, defect)
        if isinstance(result, UnforeseenError):
            traceback.print_exception(result.__cause__)
        if isinstance(result, UserError):
            error = readable(str(result))
            record |= dict(row=failed_image(image.name, error), error=error, files=[])
            self._say(f'{image.name}: failed')
        for name in possible.difference(record['files']):
            if (self.out / name).is_file():  # what failed may have met a folder there
                (self.out / name).unlink()
        place = _record_path(self.out, image.stem)
        check_writable(place.parent)
        with atomic_write(place) as temporary:
            temporary.write_text(json.dumps(record))

    def _files(self, image: InputImage, result: Segmentation) -> list[str]:
        """Name the files that hold a result, below the folder of results."""
        paths = (*result_paths(result, self.out, image.stem, self.formats),
                 *preview_paths(self.out / OWN_FOLDER, image.stem, result))
        return [str(path.relative_to(self.out)) for path in paths]

    def _earlier_files(self, image: InputImage) -> set[str]:
        """Name the files of the last time, which may have had other formats or frames."""
        record = _read_record(_record_path(self.out, image.stem))
        return set() if record is None else set(record['files'])

    def _remove_leftovers(self, images: Sequence[InputImage]) -> None:
        """Take away the half-written files of a batch that was killed."""
        stems = {(self.out / image.stem).name for image in images}
        endings = ('.json', '.jpg', *(SAVERS[name].ending for name in self.formats))
        for folder in {path.parent for image in images
                       for path in (self.out / image.stem, _record_path(self.out, image.stem))}:
            for entry in folder.glob('.*') if folder.is_dir() else ():
                found = TEMPORARY.fullmatch(entry.name)
                name = found[1] + found[2] if found else ''
                if name.endswith(endings) and any(name.startswith(stem) for stem in stems):
                    entry.unlink()

    def _summarize(self, rows: list[dict[str, Any]], count: int) -> None:
        cells = sum(row['cells'] for row in rows)
        kinds = ', '.join(f'{sum(row[f"cells_{name}"] for row in rows):,} {name}'
                          for name in self.segmenter.classes)
        failed = f', {count - len(rows)} failed' if len(rows) < count else ''
        seconds = time.perf_counter() - self._started
        self._say(f'{len(rows)} of {count} images{failed}: {cells:,} cells ({kinds}) in '
                  f'{seconds:.1f} s; results in {self.out}')

    def _say(self, text: str) -> None:
        if not self.options.quiet:
            tqdm.write(''.join(each if each.isprintable() else ascii(each)[1:-1] for each in text))

    def _is_done(self, image: InputImage) -> bool:
        record = _read_record(_record_path(self.out, image.stem))
        return (record is not None and 'error' not in record
                and record.get('fingerprint') == self._fingerprint(image)
                and all((self.out / name).is_file() for name in record['files']))

    def _fingerprint(self, image: InputImage) -> str:
        """Hash the settings, the file's size and the time of its last change."""
        try:
            state = image.path.stat()
            known = (state.st_size, state.st_mtime_ns)
        except OSError:
            known = (0, 0)
        text = f'{self._settings} {os.path.realpath(image.path)} {image.series} {known}'
        return hashlib.sha256(os.fsencode(text)).hexdigest()


def _line(result: Segmentation) -> str:
    """Say in a line what was found in an image."""
    counts = [sum(int((frame.detections.labels == label).sum()) for frame in result.frames)
              for label in range(len(result.classes))]
    kinds = ', '.join(f'{count} {name}' for count, name
                      in zip(counts, result.classes, strict=True) if count)
    frames = f' in {len(result.frames)} frames' if len(result.frames) > 1 else ''
    notes = [] if result.display_range is None else [str(result.normalization)]
    if result.display_range is not None and result.display_range[0] > result.display_range[1]:
        notes.append('0 is white in this file')
    notes += result.warnings
    return (f'{result.name}: {len(result)} cells{f" ({kinds})" if kinds else ""}{frames}, '
            f'{result.seconds:.1f} s' + ''.join(f'; {note}' for note in notes))


def _place(image: InputImage, options: PredictOptions) -> tuple[str, int | None]:
    """Return the file of an image and its number there, which no two images have in common."""
    return os.path.realpath(image.path), (
        options.read.series if image.series is None else image.series)


def _record_path(out: Path, stem: str) -> Path:
    return out / OWN_FOLDER / f'{stem}.json'


def _records(out: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the records of earlier batches with the stems of their images."""
    for path in sorted((out / OWN_FOLDER).rglob('*.json')):
        record = _read_record(path)
        if record is not None:
            yield str(path.relative_to(out / OWN_FOLDER).with_suffix('')), record


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


def count_processes() -> int:
    """Return how many processes torchrun has started; 1 without it.

    Raises:
        UserError: the environment has some of torchrun's variables, as a cluster may leave them.
    """
    count = os.environ.get('WORLD_SIZE', '1')
    if count == '1':
        return 1
    lost = [name for name in ('RANK', 'MASTER_ADDR', 'MASTER_PORT') if name not in os.environ]
    if lost or not count.isdecimal():
        without = f' without {", ".join(lost)}' if lost else ''
        raise UserError(f'WORLD_SIZE: found {count!r} in the environment{without}, expected all '
                        'of these from torchrun, or none: unset WORLD_SIZE')
    return int(count)


@contextmanager
def _processes() -> Iterator[tuple[int, int]]:
    """Join the processes of torchrun, if it has started this one.

    Yields:
        The number of this process and how many there are.
    """
    if count_processes() == 1:
        yield 0, 1
        return
    dist.init_process_group('gloo', timeout=PATIENCE)
    try:
        yield dist.get_rank(), dist.get_world_size()
    finally:
        dist.destroy_process_group()


def _together(rank: int, action: Callable[[], Any]) -> Any:
    """Let the first process act when all have come this far, and give all what came of it.

    Raises:
        UserError: whatever the action raised, in every process.
    """
    if not dist.is_initialized():
        return action()
    dist.barrier()
    outcome: list[Any] = [None]
    if rank == 0:
        try:
            outcome = [action()]
        except UserError as error:
            outcome = [error]
    dist.broadcast_object_list(outcome)
    if isinstance(outcome[0], UserError):
        raise outcome[0]
    return outcome[0]

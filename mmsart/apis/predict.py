"""Folders of pictures into folders of results: what ``mmsart predict`` does."""
from __future__ import annotations

import os
import shutil
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mmsart import __version__
from mmsart.apis.batch_records import (
    BatchRecords,
    check_same_images,
    remove_results,
    without_results,
)
from mmsart.apis.inference import CellSegmenter, Request, Segmentation
from mmsart.apis.processes import processes, together
from mmsart.formats.methods import describe_method, read_methods, write_methods
from mmsart.formats.names import METHODS_FILE, OWN_FOLDER, SUMMARY_FILE
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
    check_writable,
    readable,
)


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
    images = without_results(find_inputs(inputs, options.recursive, exclude=out), out)
    if options.all_series:
        images = with_series(images)
    with processes() as (rank, count):
        together(rank, lambda: _check_folder(Path(out), options, images))
        segmenter = make_segmenter()
        if 'submission' in formats:
            check_disjoint(segmenter.source.postprocess, '--save submission')
        together(rank, lambda: _prepare_folder(Path(out), options, images))
        batch = _Batch(segmenter, Path(out), options, formats)
        together(rank, lambda: batch.begin(images))
        batch.run(images[rank::count])
        problems = together(rank, lambda: batch.finish(images))
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


def _check_folder(out: Path, options: PredictOptions, images: Sequence[InputImage]) -> None:
    """Refuse a folder that is in use, unless the user says what to do with it.

    Raises:
        UserError: there are files and no option; or a batch is to go on that is one of other
            pictures with the same names, or whose methods cannot be read.
    """
    if out.is_dir() and any(out.iterdir()) and not (options.resume or options.overwrite):
        raise UserError(f'{out}: found files in the folder, expected an empty one, --resume or '
                        '--overwrite')
    if options.resume:
        check_same_images(out, images)
        read_methods(out)


def _prepare_folder(out: Path, options: PredictOptions, images: Sequence[InputImage]) -> None:
    """Make the folder, without earlier results that are to be overwritten or have another name."""
    remove_results(out, None if options.overwrite else images, options.read.series)
    if options.overwrite:
        merged = (name for names, _ in MERGED.values() for name in names)
        for name in (SUMMARY_FILE, METHODS_FILE, *merged):
            (out / name).unlink(missing_ok=True)
        shutil.rmtree(out / OWN_FOLDER, ignore_errors=True)
    check_writable(out)
    check_writable(out / OWN_FOLDER)


class _Batch:
    """The images of one process, and at the end what belongs to all."""

    def __init__(self, segmenter: CellSegmenter, out: Path, options: PredictOptions,
                 formats: tuple[str, ...]) -> None:
        self.segmenter, self.out, self.options, self.formats = segmenter, out, options, formats
        self._records = BatchRecords(out, options.read.series, dict(
            version=__version__, model=segmenter.source.fingerprint(), read=vars(options.read),
            save=sorted(options.save), details=vars(options.details)))
        self._started = time.perf_counter()

    def begin(self, images: Sequence[InputImage]) -> None:
        """Write how all images are looked at; what is known of earlier ones' results stays."""
        source, read = self.segmenter.source, self.options.read
        method = describe_method(self.segmenter.method, source.postprocess, vars(read))
        others = set(self._records.others(images))
        methods = [(method, [image.stem for image in images])]
        for each in read_methods(self.out):
            stems = [stem for stem in each.pop('images') if stem in others]
            if stems:
                methods.append((each, stems))
        write_methods(self.out, methods)

    def run(self, images: Sequence[InputImage]) -> None:
        """Look at the images that are not done yet."""
        source = self.segmenter.source
        self._say(f'model {source.name} on {self.segmenter.device}, post-processing settings: '
                  f'{source.postprocess_source}')
        waiting = [image for image in images if not self._records.has(image)]
        if self.options.resume:
            endings = ('.jpg', *(SAVERS[name].ending for name in self.formats))
            self._records.remove_leftovers(waiting, endings)
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
        records = [self._records.read(image) for image in images]
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
        if others := self._records.others(images):
            self._say(f'{len(others)} more images, such as {others[0]}, have results in {self.out} '
                      f'of an earlier time; {SUMMARY_FILE} is about the images of this time alone')
        return [record['error'] for record in records if 'error' in record]

    def _write(self, image: InputImage, result: Segmentation | UserError) -> None:
        """Save what was found, and the record when nothing else is there and all of it is."""
        record: dict[str, Any] = dict(files=[])
        possible = self._records.files_of(image)
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
        self._records.write(image, record)

    def _files(self, image: InputImage, result: Segmentation) -> list[str]:
        """Name the files that hold a result, below the folder of results."""
        paths = (*result_paths(result, self.out, image.stem, self.formats),
                 *preview_paths(self.out / OWN_FOLDER, image.stem, result))
        return [str(path.relative_to(self.out)) for path in paths]

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
    cells = f'{len(result)} cell{"" if len(result) == 1 else "s"}'
    return (f'{result.name}: {cells}{f" ({kinds})" if kinds else ""}{frames}, '
            f'{result.seconds:.1f} s' + ''.join(f'; {note}' for note in notes))

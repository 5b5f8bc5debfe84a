"""Results of the page as files: the same code as `mmsart predict`, and truth to train on."""
from __future__ import annotations

import re
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from mmsart.apis.batch_records import mark_results
from mmsart.app.errors import NotFoundError
from mmsart.app.items import Facts, Item, open_item, results_of
from mmsart.app.library import Library
from mmsart.app.results import load_kept, save_kept
from mmsart.app.worker import kept_name
from mmsart.formats.cell_table import cell_table
from mmsart.formats.methods import describe_method, write_methods
from mmsart.formats.names import OWN_FOLDER, SUMMARY_FILE
from mmsart.formats.preview import write_previews
from mmsart.formats.saving import SaveOptions, check_formats, merge_files, save_result
from mmsart.formats.summary import (
    COLOURS_FILE,
    failed_image,
    summarize_image,
    write_colours,
    write_summary,
)
from mmsart.imaging import ImageStack, image_id
from mmsart.imaging.inputs import distinct_stems
from mmsart.imaging.raw_plane import RawPlane
from mmsart.postprocessing import check_disjoint
from mmsart.postprocessing.kept import KeptCrop, KeptFrame
from mmsart.structures.detections import Detections
from mmsart.structures.image_result import MADE, FrameResult, ImageResult, class_colours
from mmsart.utils import UserError, readable

UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')


@contextmanager
def open_result(library: Library, item: Item, img_id: str = '') -> Iterator[ImageResult]:
    """Give the cells of an item as they stand, with its grey values, as a prediction has them.

    Args:
        library: of all items.
        item: that is done.
        img_id: what a submission calls it; by default its name without folder and ending.

    Yields:
        The result; its file is open meanwhile.

    Raises:
        UserError: the item has no results, or its file is not there any more.
    """
    facts = results_of(item)
    with (open_item(item) as stack,
          tempfile.TemporaryDirectory(dir=library.workspace.incoming) as folder):
        if (stack.height, stack.width, len(stack)) != (facts.height, facts.width, facts.frames):
            raise UserError(f'{item.name}: found frames of another size than its cells were '
                            'found in, expected the same; find its cells anew')
        frames = _StoredFrames(Path(folder), stack, facts, img_id)
        with suppress(NotFoundError):  # a new run may have found fewer frames
            for number in range(facts.frames):
                frames.store(number, *library.by_hand(item, number, keep=False))
        if item.facts is not facts:
            raise UserError(f'{item.name}: found that its cells were found anew meanwhile, '
                            'expected the same ones')
        yield ImageResult(
            item.name, frames, facts.classes, facts.palette, facts.pixel_size,
            facts.pixel_size_source, stack.display_range, facts.seconds, facts.warnings,
            stack.num_channels, facts.axes, facts.channel, facts.scaling, facts.date)


class _StoredFrames(Sequence[FrameResult]):
    """Final cells in files, a frame each: those of a long stack may be more than memory holds.

    Args:
        folder: for the files.
        stack: the grey values.
        facts: of the item.
        img_id: of the cells, in place of their own.
    """

    def __init__(self, folder: Path, stack: ImageStack, facts: Facts, img_id: str) -> None:
        self._folder, self._stack, self._facts, self._img_id = folder, stack, facts, img_id
        self._hand: dict[int, tuple[np.ndarray, int]] = {}

    def store(self, number: int, cells: Detections, made: np.ndarray, removed: int) -> None:
        """Write the cells of a frame, and keep what a hand has done to them."""
        self._hand[number] = made, removed
        size = self._facts.height, self._facts.width
        save_kept(self._folder / kept_name(number),
                  KeptFrame((KeptCrop(cells),), size, self._img_id or cells.img_id))

    def __len__(self) -> int:
        return self._facts.frames

    def __getitem__(self, number: Any) -> Any:
        number = range(len(self))[number]
        [crop] = load_kept(self._folder / kept_name(number)).crops
        made, removed = self._hand[number]
        return FrameResult(crop.detections, RawPlane(self._stack, number),
                           *self._facts.place(number), [MADE[way] for way in made], removed)


def measure(library: Library, item: Item, frame: int, ids: Sequence[int],
            ) -> list[dict[str, Any]]:
    """Measure some cells of a frame.

    Args:
        library: of all items.
        item: that is done.
        frame: from 0.
        ids: of the cells; those that are not shown are left out.

    Returns:
        For each the columns of the table of cells, see
        :func:`mmsart.formats.cell_table.cell_table`, and its ``id``.
    """
    facts = results_of(item)
    cells, made, _ = library.by_hand(item, frame)
    assert cells.ids is not None
    rows = np.flatnonzero(np.isin(cells.ids, ids))
    if not len(rows):
        return []
    with open_item(item) as stack:
        raw = stack.read_raw(frame)
    time, depth = facts.place(frame)
    # Alone, the frame is a whole image: tables of stacks have all their frames.
    table = cell_table(ImageResult(
        item.name, [FrameResult(cells[rows], raw, made=[MADE[way] for way in made[rows]])],
        facts.classes, facts.palette, facts.pixel_size))
    table['label'], table['t'], table['z'] = rows + 1, time, depth
    table.insert(0, 'id', cells.ids[rows])
    return [{name: None if value != value else value for name, value in row.items()}
            for row in table.to_dict('records')]


def write_zip(library: Library, items: Sequence[Item], formats: Sequence[str], path: Path,
              options: SaveOptions | None = None) -> list[UserError]:
    """Write items in some formats into a ZIP file, with a summary of all.

    Unpacked, it is what ``mmsart predict`` writes; ``mmsart report`` finds pictures and colours,
    and who looks for images knows its files as results.
    An item whose file has gone, or cannot be read, is a row of the summary that says so; so is one
    that is removed or run again while others are written.

    Args:
        library: of all items.
        items: that are done.
        formats: names of :data:`~mmsart.formats.saving.SAVERS`.
        path: the file to write.
        options: of formats that leave a choice.

    Returns:
        What is wrong with items that are left out.

    Raises:
        UserError: a format does not exist, or no item can be written.
    """
    formats = check_formats(formats, 'export: formats')
    if not items:
        raise UserError('export: found no image that is done, expected one or more')
    if 'submission' in formats:
        for item in items:
            if item.facts is not None:
                check_disjoint(item.facts.postprocess, 'export: submission')
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        out = Path(folder)
        rows, files, errors, methods = [], [], [], []
        classes: set[tuple[str, ...]] = set()
        colours: dict[str, tuple[int, int, int]] = {}
        for item, stem, img_id in zip(
                items, item_stems(items), item_ids(items), strict=True):
            try:
                with open_result(library, item, img_id) as result:
                    method = _describe(library, item)  # first: a new run may begin meanwhile
                    row = summarize_image(result, stem)
                    previews = write_previews(out / OWN_FOLDER, stem, result)
                    own = save_result(result, out, stem, formats, options) + previews
                    files += [*own, mark_results(out, stem, own, row)]
                    methods.append((method, [stem]))
                    classes.add(tuple(result.classes))
                    colours = _colours(result) | colours
            except UserError as error:
                errors.append(error)
                row = failed_image(item.name, readable(str(error)))
            rows.append(row)
        if len(errors) == len(items):
            raise errors[0]
        if len(items) > 1 and len(classes) == 1:
            files += merge_files(files, out, formats)
        write_summary(out / SUMMARY_FILE, rows, list(colours))
        write_colours(out, list(colours), list(colours.values()))
        files += [out / SUMMARY_FILE, out / COLOURS_FILE, write_methods(out, methods)]
        with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for file in files:
                archive.write(file, file.relative_to(out))
    return errors


def _describe(library: Library, item: Item) -> dict[str, Any]:
    """Describe how an item was looked at, and by which thresholds its cells are chosen."""
    facts = results_of(item)
    return describe_method(facts.method, library.settings(item), vars(item.read_options),
                           sorted(item.settings))


def _colours(result: ImageResult) -> dict[str, tuple[int, int, int]]:
    """Name the colours of the classes of the model that has looked at an image."""
    own = class_colours(len(result.classes), result.palette)
    return dict(zip(result.classes, own, strict=True))


def item_stems(items: Sequence[Item]) -> list[str]:
    """Name the files of items: each as its image, without what a file system may not like."""
    return distinct_stems(_tell_apart([_safe_name(item.name) for item in items], items))


def item_ids(items: Sequence[Item]) -> list[str]:
    """Name items in a submission as a prediction does: by the path below the folder added."""
    return distinct_stems(_tell_apart([item.name for item in items], items))


def _tell_apart(names: Sequence[str], items: Sequence[Item]) -> list[str]:
    """Give items whose name an earlier one has their id before its ending."""
    distinct: dict[str, None] = {}
    for name, item in zip(names, items, strict=True):
        while name in distinct:
            stem, ending = _parts(name)
            name = f'{stem}_{item.id}{ending}'
        distinct[name] = None
    return list(distinct)


def _safe_name(name: str) -> str:
    stem, ending = _parts(name.rpartition('/')[2])
    return (UNSAFE.sub('_', stem).strip('. ') or 'image') + ending


def _parts(name: str) -> tuple[str, str]:
    """Part a name, with its folders, from its ending."""
    folders, slash, base = name.rpartition('/')
    stem = image_id(base)
    return folders + slash + stem, base[len(stem):]

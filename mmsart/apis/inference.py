"""The cells of pictures in one line: `CellSegmenter`."""
from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch

from mmsart.apis.methods import describe_model
from mmsart.apis.models import find_source
from mmsart.apis.predictor import MAX_DETECTIONS, Crop, Found, Predictor
from mmsart.evaluation.familiarity import Traits, describe_unlike, image_traits
from mmsart.formats.cell_table import cell_table
from mmsart.formats.label_image import paint_labels
from mmsart.formats.methods import now
from mmsart.formats.overlay import draw_overlay
from mmsart.formats.saving import DEFAULT_FORMATS, SaveOptions, save_result
from mmsart.imaging import Normalization, image_id, name_id
from mmsart.imaging.inputs import name_key
from mmsart.imaging.raw_plane import RawPlane, StackFile
from mmsart.imaging.read_options import Image, ReadOptions
from mmsart.postprocessing.kept import KeptFrame
from mmsart.structures.detections import Detections
from mmsart.structures.image_result import FrameResult, ImageResult
from mmsart.utils import UnforeseenError, UserError

T = TypeVar('T')

PROPOSALS_OF_A_CELL = 4
"""NMS at an IoU of .7 leaves this many of each cell, and more: a limit beyond cuts duplicates."""


@dataclass(frozen=True)
class Request:
    """An image to find cells in.

    Attributes:
        image: a file or an array.
        read: how it is read.
        name: what results call it; by default the file's name, of one of several images in it
            with ``#`` and its number.
        img_id: what a submission calls it, and how files of its results begin; by default the name
            without its ending, of one that was given only an image's, and ``_s`` and the number.
    """

    image: Image
    read: ReadOptions = field(default_factory=ReadOptions)
    name: str = ''
    img_id: str = ''

    @property
    def shown_name(self) -> str:
        """The name, as given or the file's."""
        return self.name or self._own_name + (
            '' if self.read.series is None else f'#{self.read.series}')

    @property
    def shown_id(self) -> str:
        """The id, as given or the name's."""
        if self.img_id or self.name:
            return self.img_id or name_id(self.name)
        return image_id(self._own_name) + (
            '' if self.read.series is None else f'_s{self.read.series}')

    @property
    def _own_name(self) -> str:
        if isinstance(self.image, np.ndarray):
            return 'array'
        return os.path.basename(os.fspath(self.image))


@dataclass(frozen=True)
class Segmentation(ImageResult):
    """The cells of an image, to look at, count and save.

    Attributes:
        normalization: how grey values became 8 bits.
        caps: limits of the detector that were reached, as ``key=value``, those on proposals only
            where they leave fewer than :data:`PROPOSALS_OF_A_CELL` for each cell found.
        stack: the file of a stack, whose frames read their grey values from it on demand; None for
            a single picture, which is in memory.
        kept: of each frame what other thresholds could choose from; empty unless the segmenter
            was told to keep it.
    """

    normalization: Normalization | None = None
    caps: tuple[str, ...] = ()
    stack: StackFile | None = field(default=None, repr=False, compare=False)
    kept: tuple[KeptFrame, ...] = field(default=(), repr=False, compare=False)

    @property
    def masks(self) -> np.ndarray:
        """int32 (h, w): i + 1 in cell i, 0 outside all; (t, h, w), (z, h, w) or (t, z, h, w)
        for a stack, each frame numbered by itself."""
        planes = np.stack([paint_labels(frame.detections.masks) for frame in self.frames])
        return planes.reshape([n for n in self.stack_size if n > 1] + list(self.size))

    @property
    def scores(self) -> np.ndarray:
        """float32 (N,): how sure each cell is, in [0, 1], frame after frame."""
        return np.concatenate([frame.detections.scores for frame in self.frames])

    @property
    def labels(self) -> np.ndarray:
        """int64 (N,): the class of each cell, an index into ``classes``, frame after frame."""
        return np.concatenate([frame.detections.labels for frame in self.frames])

    def to_dataframe(self) -> pd.DataFrame:
        """Measure the cells; see :func:`mmsart.formats.cell_table.cell_table`."""
        return cell_table(self)

    def plot(self, frame: int = 0, *, fill: float = 0.0, numbers: bool = False) -> np.ndarray:
        """Draw the cells; see :func:`mmsart.formats.overlay.draw_overlay`.

        Args:
            frame: which one of a stack.
            fill: opacity of the inside of cells, 0 to 1.
            numbers: whether to write each cell's number into it.

        Returns:
            uint8 (h, w, 3) RGB, for ``plt.imshow`` or ``PIL.Image.fromarray``.
        """
        return draw_overlay(self.frames[frame], self, fill=fill, numbers=numbers)

    def save(self, folder: str | os.PathLike, formats: Sequence[str] = DEFAULT_FORMATS,
             options: SaveOptions | None = None, stem: str = '') -> list[Path]:
        """Write the cells to a folder; see :func:`mmsart.formats.saving.save_result`.

        Args:
            folder: where; made if it is missing.
            formats: names of formats.
            options: of formats that leave a choice.
            stem: how the files' names begin; by default the id of the image, which no two of a
                list that was looked at together have in common.

        Returns:
            The files.
        """
        stem = stem or self.frames[0].detections.img_id or name_id(self.name)
        return save_result(self, folder, stem, formats, options)

    def close(self) -> None:
        """Close the file of a stack, until its grey values are asked for again."""
        if self.stack is not None:
            self.stack.close()

    def __len__(self) -> int:
        return self.num_cells


class CellSegmenter:
    """Find cells in pictures.

    Args:
        weights: name of a model of the package, a checkpoint, or the work dir of a run; None for
            the package's own.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'`` ...; None for a GPU if there is one.
        config: config file in place of the one that a checkpoint carries.
        cfg_options: ``KEY=VALUE`` strings for that config.
        postprocess: file of post-processing settings, overriding the model's own.
        flips: False looks at each image once rather than at its mirror images too: faster by the
            number of views, and a little less exact. None for what the model says.
        batch_size: images or tiles of one size that are computed together.
        tile_size: pixels of the side of a tile, and of the largest image that is looked at in one
            piece, in place of the model's.
        tile_overlap: pixels that tiles share, in place of the model's.
        keep: share of the score thresholds down to which detections are kept in
            :attr:`Segmentation.kept`, for other thresholds to choose from; None keeps none.

    Attributes:
        source: the model before it was built.
        method: plain data on the model and how it looks at images, see
            :func:`mmsart.apis.methods.describe_model`.

    Raises:
        MissingFileError: there is no such model.
        UserError: an option is wrong, or the files of the model do not fit together.

    Example:
        >>> segmenter = CellSegmenter()                    # doctest: +SKIP
        >>> result = segmenter('picture.tif')              # doctest: +SKIP
        >>> len(result), result.masks.max(), result.scores.mean()    # doctest: +SKIP
        (337, 337, 0.61)
        >>> result.save('results')                         # doctest: +SKIP
    """

    def __init__(
            self, weights: str | os.PathLike | None = None, device: str | None = None, *,
            config: str | None = None, cfg_options: Sequence[str] = (),
            postprocess: str | None = None, flips: bool | None = None, batch_size: int = 1,
            tile_size: int | None = None, tile_overlap: int | None = None,
            keep: float | None = None) -> None:
        if batch_size < 1:
            raise UserError(f'--batch-size: found {batch_size}, expected at least 1')
        if keep is not None and not 0 <= keep <= 1:
            raise UserError(f'keep: found {keep}, expected a share of 0 to 1')
        source = find_source(weights, config, cfg_options, postprocess)
        self.source = source.adapted(flips, tile_size, tile_overlap)
        self.device = choose_device(device)
        self.keep = keep
        self._predictor = Predictor(
            self.source, self.device, batch_size, 1.0 if keep is None else keep)
        # At once: the file of the weights may be another one later.
        self.method = describe_model(self.source, self._predictor.model, self.device, batch_size)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in label order."""
        return self.source.classes

    def __call__(self, image: Image | Sequence[Image], *, name: str | Sequence[str] = '',
                 **options: Any) -> Any:
        """Find the cells of an image or of several.

        Args:
            image: a file, an array (h, w) or (h, w, 3) RGB, or a list of these.
            name: what results call it, of a list a name each; by default the file's, or
                ``'array'``.
            **options: see :class:`~mmsart.imaging.read_options.ReadOptions`.

        Returns:
            A :class:`Segmentation`, or a list of them, whose files are told apart by the place in
            the list where they would have one name.

        Raises:
            UserError: a file cannot be read, or not without an option that the line names, or there
                are more or fewer names than images.
        """
        if isinstance(image, str | os.PathLike | np.ndarray):
            if not isinstance(name, str):
                raise UserError(f'name: found {type(name).__name__}, expected a text for one image')
            return self._look_at(_requests([image], name, options))[0]
        if not isinstance(image, Iterable) or isinstance(image, bytes | torch.Tensor):
            raise _no_image(image)
        return self._look_at(_requests(list(image), name, options))

    def _look_at(self, requests: Sequence[Request]) -> list[Segmentation]:
        results = []
        for request in requests:  # one by one, so that those after a broken file cost nothing
            _, found = next(self.stream([request]))
            if isinstance(found, UserError):
                raise found
            results.append(found)
        return results

    def stream(
            self, requests: Iterable[Request],
            watch: Callable[[Request, int, int], None] | None = None,
    ) -> Iterator[tuple[Request, Segmentation | UserError]]:
        """Find the cells of many images, one after another.

        Batches reach across images; one image is in memory at a time, and one batch.

        Args:
            requests: the images.
            watch: called before each frame or tile is looked at, with its request, how many came
                before and how many there are; what it raises ends the stream.

        Yields:
            Each request with its cells, or with what is wrong with the file.
        """
        for found in self._predictor.detect(self._crops(requests, watch)):
            if isinstance(found, _Failed):
                yield found.request, found.error
                continue
            image, number = found.crop.owner
            image.add(found, number)
            if image.is_complete:
                yield image.request, image.result()

    def _crops(self, requests: Iterable[Request],
               watch: Callable[[Request, int, int], None] | None) -> Iterator[Crop | _Failed]:
        for request in requests:
            image = _attempt(request, partial(
                _OpenImage, request, self._predictor, self.keep is not None))
            if isinstance(image, _Failed):
                yield image
                continue
            for number in range(len(image.stack)):
                crops = _attempt(request, partial(image.cut, number))
                if isinstance(crops, _Failed):
                    image.stack.close()
                    yield crops
                    break
                for place, crop in enumerate(crops, number * len(crops)):
                    if watch is not None:
                        watch(request, place, len(crops) * len(image.stack))
                    yield crop


def _requests(images: Sequence[Image], names: str | Sequence[str],
              options: Mapping[str, Any]) -> list[Request]:
    """Ask for several images; those that would have one id get their place in the list behind it.

    Raises:
        UserError: one is no image, or there are more or fewer names than images.
    """
    for image in images:
        if not isinstance(image, str | os.PathLike | np.ndarray):
            raise _no_image(image)
    given = [''] * len(images) if names == '' else [names] if isinstance(names, str) else names
    if len(given) != len(images):
        raise UserError(f'name: found {len(given)} for {len(images)} images, expected one for each')
    read = ReadOptions(**options)
    requests = [Request(image, read, name) for image, name in zip(images, given, strict=True)]
    taken = Counter(name_key(request.shown_id) for request in requests)

    def with_place(request: Request, place: int) -> Request:
        own = f'{request.shown_id}_{place:0{len(str(len(images) - 1))}d}'
        while name_key(own) in taken:
            own += '_'
        return replace(request, img_id=own)

    return [with_place(request, place) if taken[name_key(request.shown_id)] > 1 else request
            for place, request in enumerate(requests)]


def _no_image(found: Any) -> UserError:
    return UserError(f'image: found {type(found).__name__}, expected a file, an array '
                     '(numpy.asarray makes one) or a list of these')


@dataclass(frozen=True)
class _Failed:
    request: Request
    error: UserError


def _attempt(request: Request, work: Callable[[], T]) -> T | _Failed:
    """Do a part of the work on one image, whose troubles must not end that on others."""
    try:
        return work()
    except UserError as error:
        return _Failed(request, error)
    except OSError as error:
        return _Failed(request, UserError(f'{request.image}: {error.strerror or error}'))
    except Exception as error:  # what a reader of files can meet has no end
        return _Failed(request, UnforeseenError(request.shown_name, error))


class _OpenImage:
    """An image on its way: its file and what was found so far."""

    def __init__(self, request: Request, predictor: Predictor, keeps: bool) -> None:
        self.started = time.perf_counter()
        self.request, self.predictor, self.keeps = request, predictor, keeps
        self.stack = request.read.open(request.image)
        self._size = (self.stack.height, self.stack.width)
        self._waiting: dict[int, _OpenFrame] = {}
        self._found: dict[int, Detections] = {}
        self._kept: dict[int, KeptFrame] = {}
        self._caps: Counter[str] = Counter()
        self._traits: dict[int, Traits] = {}
        self._raw: np.ndarray | None = None

    @property
    def is_complete(self) -> bool:
        return len(self._found) == len(self.stack)

    def cut(self, number: int) -> list[Crop]:
        frame = self.stack[number]
        if len(self.stack) == 1:
            self._raw = frame.raw
        crops = self.predictor.cut(frame.image, self.request.shown_id, (self, number))
        self._waiting[number] = _OpenFrame(frame.image, len(crops))
        return crops

    def add(self, found: Found, number: int) -> None:
        frame = self._waiting[number]
        frame.found.append(found)
        if len(frame.found) < frame.crops:
            return
        if found.crop.tile is None:
            types: list[int | None] = [None]
            final = self.predictor.finish(found.detections)
            self._caps.update(_near(found.caps, len(final)))
        else:
            types = self.predictor.tile_types(frame.found)
            parts = [self.predictor.finish_tile(each, self._size, cell_type)
                     for each, cell_type in zip(frame.found, types, strict=True)]
            for each, part in zip(frame.found, parts, strict=True):
                self._caps.update(_near(each.caps, len(part)))
            final = self.predictor.join(parts, found.crop.img_id)
        self._found[number] = final
        if self.keeps:
            kept = [self.predictor.prepare(each, cell_type)
                    for each, cell_type in zip(frame.found, types, strict=True)]
            self._kept[number] = KeptFrame.number(kept, self._size, found.crop.img_id)
        del self._waiting[number]
        self._traits[number] = image_traits(
            frame.picture, final, self.predictor.source.classes)

    def result(self) -> Segmentation:
        stack, source = self.stack, self.predictor.source
        places = np.ndindex(stack.sizes.get('T', 1), stack.sizes.get('Z', 1))
        raw, file = self._raw, None
        if raw is None:
            file = StackFile(stack, self.request.image, self.request.read)
        else:  # many results may be held, and few files be open
            stack.close()
        frames = [
            FrameResult(self._found[number],
                        RawPlane(file or stack, number) if raw is None else raw, t, z)
            for number, (t, z) in enumerate(places)]
        return Segmentation(
            name=self.request.shown_name, frames=frames, classes=source.classes,
            palette=source.palette,
            pixel_size=stack.pixel_size.um if stack.pixel_size else None,
            pixel_size_source=stack.pixel_size.source if stack.pixel_size else '',
            display_range=stack.display_range,
            seconds=time.perf_counter() - self.started, warnings=[*stack.warnings, *self._notes()],
            num_channels=stack.num_channels, axes=stack.file_axes, channel=stack.channel,
            scaling=stack.normalization.source, date=now(), normalization=stack.normalization,
            caps=tuple(sorted(self._caps)),
            stack=file,
            kept=tuple(self._kept[number] for number in sorted(self._kept)))

    def _notes(self) -> Iterator[str]:
        for key, count in self._caps.items():
            if f'{MAX_DETECTIONS}=' in key:  # proposals are many times more than cells
                where = f' in {count} tiles or frames' if count > 1 else ''
                yield (f'{key} was reached{where}: cells may be missing, smaller tiles (mmsart '
                       'predict --tile) may find them')
        yield from describe_unlike(
            [self._traits[number] for number in sorted(self._traits)],
            self.predictor.source.facts.get('training_images', {}))


@dataclass
class _OpenFrame:
    """A frame of which not all crops were looked at: the picture, how many, what was found."""

    picture: np.ndarray
    crops: int
    found: list[Found] = field(default_factory=list)


def _near(caps: Iterable[str], cells: int) -> Iterator[str]:
    """Leave out limits on proposals that cut but duplicates."""
    for cap in caps:
        key, _, value = cap.partition('=')
        if key.endswith(MAX_DETECTIONS) or cells * PROPOSALS_OF_A_CELL > int(value):
            yield cap


def choose_device(device: str | None = None) -> torch.device:
    """Choose where to compute.

    Args:
        device: as torch names it; None for a GPU if there is one.

    Returns:
        The device.

    Raises:
        UserError: there is no such device.
    """
    if device is None:
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].partition('. ')[0]
        raise UserError(f'--device: found {device!r}, expected cpu or an available GPU '
                        f'({reason})') from error
    return chosen

"""A detector and its post-processing, from pixels to final cells."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.registry import TRANSFORMS

from mmsart.apis.models import ModelSource
from mmsart.imaging.tiles import Tile, tile_grid
from mmsart.models.caps import watch_caps
from mmsart.models.detectors.members import detectors_of
from mmsart.models.fast_inference import fold_for_inference, skip_hopeless
from mmsart.postprocessing import PostProcessor
from mmsart.postprocessing.kept import NO_LONGER_ASKED, KeptCrop
from mmsart.postprocessing.seams import TilePart, in_core, join_parts, take_core
from mmsart.structures.data_samples import to_detections
from mmsart.structures.detections import Detections
from mmsart.utils import as_user_error

DOUBTFUL_SHARE = 0.5
"""Of the lowest score threshold. Scores fall in the mask head, by up to about half; only if even
the least of as many detections as a model gives is above this may those left out be cells."""

MAX_DETECTIONS = '.test_cfg.rcnn.max_per_img'
"""End of the key, which for a member begins with its place in the model."""
LIMITS = ('nms_pre', 'max_per_img')
"""Keys of a test config that limit how much is found in an image of the usual size."""


@dataclass(frozen=True)
class Crop:
    """What the network is shown at a time: an image, or a tile of one.

    Attributes:
        pixels: uint8 (h, w) grey or (h, w, 3) RGB.
        img_id: of the image.
        owner: whatever the caller wants back with the detections.
        tile: where it lies in a larger image; None for a whole image.
    """

    pixels: np.ndarray
    img_id: str
    owner: Any
    tile: Tile | None = None


@dataclass(frozen=True)
class Found:
    """What the detector says of a crop.

    Attributes:
        crop: as it was given.
        detections: before post-processing, in the frame of the crop.
        caps: limits of the detector that may have left out cells, as ``key=value``.
    """

    crop: Crop
    detections: Detections
    caps: frozenset[str]


class Predictor:
    """Find the cells of images as tools/test.py does, and of large ones tile by tile.

    An image that is no larger than the model's `tiles.largest` goes the very way of a test: the
    transforms of the test pipeline, the detector's `test_step`, one `PostProcessor`. Of a larger
    image each tile does, with the detector's limits on proposals and detections raised by its area.

    Args:
        source: the model.
        device: where to compute.
        batch_size: crops of one size that are computed together. More than one rounds otherwise
            in the last digit than tools/test.py does with its own batch size of one.
        keep: also find detections with scores down to this share of the thresholds, for
            :meth:`prepare`; what is final stays the same.

    Raises:
        UserError: the tiles are smaller than their overlap, or the weights are of another model.
    """

    def __init__(self, source: ModelSource, device: str | torch.device = 'cpu',
                 batch_size: int = 1, keep: float = 1.0) -> None:
        tile_grid(source.tiles.size, source.tiles.size, source.tiles.overlap)  # checks them
        self.source = source
        self.batch_size = batch_size
        self.model: Any = source.build(device)
        fold_for_inference(self.model)
        skip_hopeless(self.model, _lowered(source.postprocess, keep))
        with as_user_error(f'{source.name}: test pipeline'):
            self._transform = Compose([
                TRANSFORMS.build(dict(step)) for step in source.pipeline
                if not str(step['type']).startswith('Load')])
        self._post_processor = PostProcessor(source.classes, **source.postprocess)
        self._separator = PostProcessor(
            source.classes, **{**source.postprocess, **NO_LONGER_ASKED})
        holders = [part for detector in detectors_of(self.model) for part in (
            detector, *(getattr(detector, head, None) for head in ('rpn_head', 'roi_head')))]
        self._limits = list(_find_limits([getattr(each, 'test_cfg', None) for each in holders]))

    def cut(self, image: np.ndarray, img_id: str, owner: Any) -> list[Crop]:
        """Cut an image into what the network is shown.

        Args:
            image: uint8 (h, w) or (h, w, 3) RGB.
            img_id: its name.
            owner: whatever the caller wants back.

        Returns:
            The image itself, or its tiles.
        """
        height, width = image.shape[:2]
        tiles = self.source.tiles
        if height <= tiles.largest[0] and width <= tiles.largest[1]:
            return [Crop(image, img_id, owner)]
        grid = tile_grid((height, width), tiles.size, tiles.overlap)
        return [Crop(image[tile.rows.begin:tile.rows.end, tile.columns.begin:tile.columns.end],
                     img_id, owner, tile) for tile in grid]

    def detect(self, crops: Iterable[Crop | Any]) -> Iterator[Found | Any]:
        """Run the detector.

        Args:
            crops: what to look at. Whatever is no `Crop` is handed through in its turn.

        Yields:
            What was found in each crop, in the order of `crops`.
        """
        waiting: list[Crop] = []
        for crop in crops:
            if waiting and not (isinstance(crop, Crop) and _kind(crop) == _kind(waiting[0])):
                yield from self._forward(waiting)
                waiting = []
            if not isinstance(crop, Crop):
                yield crop
                continue
            waiting.append(crop)
            if len(waiting) == self.batch_size:
                yield from self._forward(waiting)
                waiting = []
        if waiting:
            yield from self._forward(waiting)

    def finish(self, detections: Detections) -> Detections:
        """Post-process the detections of a whole image.

        Args:
            detections: before post-processing.

        Returns:
            The final cells, by falling score.
        """
        return self._post_processor(detections)

    def prepare(self, found: Found, cell_type: int | None = None) -> KeptCrop:
        """Keep what thresholds of score and area choose from.

        Args:
            found: in a crop.
            cell_type: of :meth:`tile_types`.

        Returns:
            All its detections.
        """
        tile = found.crop.tile
        return KeptCrop(self._post_processor.prepare(found.detections, cell_type),
                        tile and tile.box, tile and tile.core)

    def tile_types(self, tiles: Sequence[Found]) -> list[int | None]:
        """Hold the vote on the type of cell over all tiles of an image.

        Args:
            tiles: what was found in them; only what lies in a tile's core has a vote.

        Returns:
            The type of each tile; None where settings want no vote.
        """
        inner = []
        for found in tiles:
            tile, boxes = found.crop.tile, found.detections.bboxes
            assert tile is not None
            shift = np.array(tile.box[:2], np.float32)
            inner.append(found.detections[in_core(
                (boxes[:, :2] + boxes[:, 2:]) / 2 + shift, tile.core)])
        return self._post_processor.hold_votes(inner)

    def finish_tile(self, found: Found, size: tuple[int, int],
                    cell_type: int | None) -> TilePart:
        """Post-process the detections of a tile and keep the cells of its core.

        Args:
            found: in a crop with a tile.
            size: (h, w) of the image.
            cell_type: of :meth:`tile_types`.

        Returns:
            The tile's part of the image's cells.
        """
        tile = found.crop.tile
        assert tile is not None
        return take_core(
            self._post_processor(found.detections, cell_type), tile.box, tile.core, size)

    def join(self, parts: list[TilePart], img_id: str) -> Detections:
        """Put the parts of an image together.

        Args:
            parts: of all its tiles.
            img_id: its name.

        Returns:
            The final cells, by falling score.
        """
        return self._separator(join_parts(parts, img_id))

    def _area_factor(self, crop: Crop) -> float:
        if crop.tile is None:
            return 1.0
        height, width = self.source.tiles.image_size
        return max(1.0, crop.pixels.shape[0] * crop.pixels.shape[1] / (height * width))

    @torch.no_grad()
    def _forward(self, crops: list[Crop]) -> list[Found]:
        for cfg, key, value in self._limits:
            cfg[key] = round(value * self._area_factor(crops[0]))
        packed = [self._transform(_as_loaded(crop, number)) for number, crop in enumerate(crops)]
        with watch_caps(self.model) as reached:
            samples = self.model.test_step(dict(
                inputs=[each['inputs'] for each in packed],
                data_samples=[each['data_samples'] for each in packed]))
        found = []
        for number, (crop, sample) in enumerate(zip(crops, samples, strict=True)):
            detections = replace(to_detections(sample), img_id=crop.img_id)
            caps = {f'{cap.key}={cap.value}' for cap in reached if cap.image == str(number)
                    and (not cap.key.endswith(MAX_DETECTIONS)
                         or self._may_lack_cells(detections))}
            found.append(Found(crop, detections, frozenset(caps)))
        return found

    def _may_lack_cells(self, detections: Detections) -> bool:
        thresholds = self.source.postprocess['score_thr'].values()
        return bool(detections.scores.min() >= DOUBTFUL_SHARE * min(thresholds))


def _lowered(settings: Mapping[str, Any], share: float) -> dict[str, Any]:
    """Lower the scores from which detections count."""
    return {**settings, 'vote_min_score': share * settings['vote_min_score'],
            'score_thr': {cls: share * thr for cls, thr in settings['score_thr'].items()}}


def _find_limits(configs: Iterable[Any]) -> Iterator[tuple[Any, str, int]]:
    """Yield each dict of a test config with a limit's key and value, each dict once."""
    seen: set[int] = set()
    for cfg in configs:
        for each in (cfg, *(cfg.values() if isinstance(cfg, Mapping) else ())):
            if isinstance(each, Mapping) and id(each) not in seen:
                seen.add(id(each))
                yield from ((each, key, each[key]) for key in LIMITS if each.get(key, 0) > 0)


def _kind(crop: Crop) -> tuple:
    """Tell what crops must share to be computed together."""
    return crop.pixels.shape[:2], crop.tile is None


def _as_loaded(crop: Crop, number: int) -> dict[str, Any]:
    """Convert a crop to the form in which a pipeline loads an image."""
    code = cv2.COLOR_GRAY2BGR if crop.pixels.ndim == 2 else cv2.COLOR_RGB2BGR
    size = crop.pixels.shape[:2]
    return dict(img=cv2.cvtColor(np.ascontiguousarray(crop.pixels), code), img_shape=size,
                ori_shape=size, height=size[0], width=size[1], img_id=str(number),
                img_path=str(number))

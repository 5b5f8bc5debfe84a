"""Detections that are kept from before post-processing, so that thresholds may change later."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmsart.postprocessing.postprocessor import PostProcessor
from mmsart.postprocessing.seams import join_parts, take_core
from mmsart.structures.detections import Detections
from mmsart.structures.mask.patches import Box

NO_LONGER_ASKED = dict(
    vote='off', score_thr=0.0, mask_thr=None, fill_holes=False, largest_component=False,
    max_area=None, nms_iou_thr=None)
"""Settings that leave of the post-processing what cells of different tiles need: one owner for
each pixel."""


@dataclass(frozen=True)
class KeptCrop:
    """What was found in an image or in one of its tiles.

    Attributes:
        detections: of :meth:`~mmsart.postprocessing.postprocessor.PostProcessor.prepare`, in the
            frame of the crop.
        box: where a tile lies in its image, half-open xyxy; None for a whole image.
        core: the part of the image that a tile answers for, the same.
    """

    detections: Detections
    box: Box | None = None
    core: Box | None = None


@dataclass(frozen=True)
class KeptFrame:
    """What was found in all of an image.

    Attributes:
        crops: the whole image, or its tiles; their detections have ids that count through all.
        size: (h, w) of the image.
        img_id: its name.
    """

    crops: tuple[KeptCrop, ...]
    size: tuple[int, int]
    img_id: str = ''

    @classmethod
    def number(cls, crops: Iterable[KeptCrop], size: tuple[int, int], img_id: str) -> KeptFrame:
        """Number the detections of all crops.

        Args:
            crops: of one image, in any order that is the same again.
            size: (h, w) of the image.
            img_id: its name.
        """
        numbered, begin = [], 0
        for crop in crops:
            ids = np.arange(begin, begin + len(crop.detections))
            numbered.append(replace(crop, detections=replace(crop.detections, ids=ids)))
            begin += len(ids)
        return cls(tuple(numbered), size, img_id)

    def __len__(self) -> int:
        return sum(len(crop.detections) for crop in self.crops)

    def finish(self, classes: Sequence[str], settings: Mapping[str, Any]) -> Detections:
        """Choose the final cells, as a prediction with these settings does.

        Args:
            classes: names in label order.
            settings: of post-processing, complete; those that shape masks have been applied and
                count no more.

        Returns:
            The final cells, by falling score.
        """
        processor = PostProcessor(classes, **settings)
        first = self.crops[0]
        if first.box is None:
            return processor.select(first.detections)
        parts = [take_core(processor.select(crop.detections), crop.box, crop.core, self.size)
                 for crop in self.crops if crop.box is not None and crop.core is not None]
        separator = PostProcessor(classes, **{**settings, **NO_LONGER_ASKED})
        return separator(join_parts(parts, self.img_id))

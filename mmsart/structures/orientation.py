"""The eight ways to lay an image: mirrored or not, turned by 90 degrees or not."""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks

FLIPS = {'': (), 'horizontal': (-1,), 'vertical': (-2,), 'diagonal': (-2, -1)}
"""The axes that each of mmdet's directions mirrors."""


@dataclass(frozen=True)
class Orientation:
    """An image is mirrored, then turned.

    Args:
        flip: ``''``, ``'horizontal'`` (left and right change places), ``'vertical'`` or
            ``'diagonal'`` (both).
        turns: by 90 degrees, counter-clockwise, 0 to 3.
    """

    flip: str = ''
    turns: int = 0

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes of (..., h, w) that are mirrored."""
        return FLIPS[self.flip]

    def size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return what (h, w), or any pair along rows and columns, becomes."""
        return (size[1], size[0]) if self.turns % 2 else size

    def undo(self, found: Detections) -> Detections:
        """Bring what was found in the laid image back to the image as it was.

        Args:
            found: in the laid image.

        Returns:
            The same instances, to the pixel.
        """
        masks = found.masks
        back = -self.turns % 4
        size = (masks.height, masks.width)
        boxes = self._undo_boxes(masks.boxes, size)
        probs = found.mask_probs
        if probs is not None:
            probs = np.ascontiguousarray(np.flip(np.rot90(probs, back, (-2, -1)), self.axes))
        patches = [np.flip(np.rot90(patch, back), self.axes) for patch in masks.patches()]
        return replace(
            found, masks=PatchMasks.from_patches(patches, boxes, *self.size(size)),
            bboxes=self._undo_boxes(found.bboxes, size), mask_probs=probs)

    def _undo_boxes(self, boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        height, width = size
        for _ in range(-self.turns % 4):
            x1, y1, x2, y2 = boxes.T
            boxes = np.stack([y1, width - x2, y2, width - x1], axis=1)
            height, width = width, height
        boxes = boxes.copy()
        for axis in self.axes:
            begin, length = (0, width) if axis == -1 else (1, height)
            boxes[:, [begin, begin + 2]] = length - boxes[:, [begin + 2, begin]]
        return boxes

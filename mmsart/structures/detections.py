"""What a detector found in one image, before or after post-processing."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmsart.structures.mask.patch_masks import PatchMasks


@dataclass
class Detections:
    """The instances of one image.

    Args:
        scores: (N,) float32 in [0, 1].
        labels: (N,) int64 class indices.
        masks: N instances in the frame of the original image.
        bboxes: (N, 4) float32, xyxy in pixels of the original image, as the detector gave them;
            not refitted when a mask shrinks. Only a new mask threshold needs them.
        img_id: the image's id, for messages and submissions.
        mask_probs: (N, S, S) float16 or float32, foreground probabilities on the grid of
            `bboxes`, or None where only thresholded masks are left.
        ids: (N,) int64 numbers that stay with the instances through every selection, or None
            where nobody needs to know which is which.

    Raises:
        ValueError: the fields do not hold the same number of instances.
    """

    scores: np.ndarray
    labels: np.ndarray
    masks: PatchMasks
    bboxes: np.ndarray
    img_id: str = ''
    mask_probs: np.ndarray | None = None
    ids: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.scores = np.asarray(self.scores, np.float32).reshape(-1)
        self.labels = np.asarray(self.labels, np.int64).reshape(-1)
        self.bboxes = np.asarray(self.bboxes, np.float32).reshape(-1, 4)
        sizes = {
            'scores': len(self.scores), 'labels': len(self.labels), 'masks': len(self.masks),
            'bboxes': len(self.bboxes)}
        if self.mask_probs is not None:
            sizes['mask_probs'] = len(self.mask_probs)
        if self.ids is not None:
            sizes['ids'] = len(self.ids)
        if len(set(sizes.values())) > 1:
            raise ValueError(f'image {self.img_id!r}: expected fields of one length, found {sizes}')

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: np.ndarray) -> Detections:
        """Select instances.

        Args:
            index: (M,) int64 positions or (N,) bool.

        Returns:
            A new object; the image's id is kept.
        """
        index = np.asarray(index)
        if index.dtype == bool:
            index = np.flatnonzero(index)
        probs = None if self.mask_probs is None else self.mask_probs[index]
        return replace(
            self, scores=self.scores[index], labels=self.labels[index], masks=self.masks[index],
            bboxes=self.bboxes[index], mask_probs=probs,
            ids=None if self.ids is None else self.ids[index])

    @classmethod
    def cat(cls, parts: Sequence[Detections], img_id: str = '') -> Detections:
        """Put the instances of several sets one behind the other.

        Args:
            parts: one or more, in the frame of one image.
            img_id: of the image.

        Returns:
            All instances; with ids if all parts have them, and without `mask_probs`, whose grids
            may differ.
        """
        ids = [part.ids for part in parts if part.ids is not None]
        return cls(
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.labels for part in parts]),
            PatchMasks.cat([part.masks for part in parts]),
            np.concatenate([part.bboxes for part in parts]), img_id,
            ids=np.concatenate(ids) if len(ids) == len(parts) else None)

"""From what a detector says to what a submission may hold."""
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mmsart.postprocessing.config import complete_config
from mmsart.postprocessing.overlap import mask_nms, remove_overlap, score_order
from mmsart.structures.detections import Detections
from mmsart.structures.mask.morphology import fill_patch, largest_piece
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.utils import UserError

OWN_TYPE_CELLS, OWN_TYPE_FACTOR = 10, 2


class PostProcessor:
    """Turn raw detections of an image into final instances, the same way wherever they go.

    The stages run in this order, each only if its setting asks for it:

    1. ``vote``: the image's type by the sum of scores (of at least ``vote_min_score``) of each
       class; detections of other types are dropped or relabelled.
    2. ``score_thr``: lower scores are dropped.
    3. ``mask_thr``: soft masks are pasted anew and cut at this probability.
    4. ``fill_holes``, 5. ``largest_component``: each mask by itself.
    6. ``min_area``, ``max_area``: smaller and larger masks are dropped; empty ones always are.
    7. ``nms_iou_thr``: masks that lie on a better one are dropped.
    8. ``remove_overlap`` with ``max_lost_share``, ``min_area`` and ``pieces``: each pixel goes
       to the best detection, see :func:`~mmsart.postprocessing.overlap.remove_overlap`.

    The cost follows the masks' areas; nothing is ever as large as instances times pixels.

    Args:
        classes: class names in label order.
        config: settings by name, see :data:`~mmsart.postprocessing.config.OPTIONS`; a setting of
            a class is a scalar for all or a dict with a value for each class.

    Raises:
        UserError: an unknown setting or a value out of range.

    Example:
        >>> PostProcessor(('round', 'long'), score_thr=dict(round=.35, long=.5)).config['min_area']
        {'round': 0, 'long': 0}
    """

    def __init__(self, classes: Sequence[str], **config: Any) -> None:
        self.classes = tuple(classes)
        self.config = complete_config(config, self.classes)
        self._warned_of_mask_thr = False

    def __call__(self, detections: Detections, cell_type: int | None = None) -> Detections:
        """Process the detections of one image.

        Args:
            detections: as the detector gave them.
            cell_type: the image's, where a vote was held elsewhere; see :meth:`hold_votes`.

        Returns:
            The instances that are left, by falling score; disjoint if ``remove_overlap`` is on.

        Raises:
            UserError: a label is no class's.
        """
        detections = self._vote(self._checked(detections), cell_type)
        detections = self._shape(self._confident(detections))
        return self._choose(detections)

    def prepare(self, detections: Detections, cell_type: int | None = None) -> Detections:
        """Do what no threshold of score or area changes: the vote, and each mask by itself.

        Args:
            detections: as the detector gave them.
            cell_type: the image's, where a vote was held elsewhere.

        Returns:
            As many instances, or those of the voted class; :meth:`select` takes them.
        """
        shaped = self._shape(self._vote(self._checked(detections), cell_type))
        return replace(shaped, mask_probs=None)

    def select(self, prepared: Detections) -> Detections:
        """Do the rest: ``select(prepare(detections))`` is what a call gives.

        Args:
            prepared: of :meth:`prepare`, with the same settings but for those of score, area and
                overlap.

        Returns:
            As a call.
        """
        return self._choose(self._confident(prepared))

    def _checked(self, detections: Detections) -> Detections:
        """Refuse labels that are no class's."""
        labels = detections.labels
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.classes):
            raise UserError(
                f'image {detections.img_id!r}: found labels {labels.min()} to {labels.max()}, '
                f'expected 0 to {len(self.classes) - 1}')
        return detections

    def _confident(self, detections: Detections) -> Detections:
        # Compared in the scores' own precision: a score of .35 passes a threshold of .35.
        score_thrs = self._values('score_thr', detections).astype(np.float32)
        return detections[detections.scores >= score_thrs]

    def _shape(self, detections: Detections) -> Detections:
        """Change each mask by itself."""
        detections = self._threshold_masks(detections)
        detections = self._reshape(detections, 'fill_holes', fill_patch)
        return self._reshape(detections, 'largest_component', largest_piece)

    def _choose(self, detections: Detections) -> Detections:
        """Choose by area and overlap."""
        areas = detections.masks.areas
        detections = detections[
            (areas >= np.maximum(self._values('min_area', detections), 1))
            & (areas <= self._values('max_area', detections, off=np.inf))]
        iou_thrs = self._values('nms_iou_thr', detections, off=np.inf)
        if np.isfinite(iou_thrs).any():
            detections = detections[mask_nms(detections.masks, detections.scores, iou_thrs)]
        if not self.config['remove_overlap']:
            return detections[score_order(detections.scores)]
        masks, kept = remove_overlap(
            detections.masks, detections.scores, self._values('max_lost_share', detections),
            self._values('min_area', detections),
            self._values('pieces', detections, dtype=object).tolist())
        return replace(detections[kept], masks=masks, mask_probs=None)

    def _values(
            self, name: str, detections: Detections, off: float = 0.0,
            dtype: type = float) -> np.ndarray:
        """Look up a setting by each detection's class; None becomes `off`."""
        values = [self.config[name][cls] for cls in self.classes]
        return np.array([off if v is None else v for v in values], dtype)[detections.labels]

    def hold_votes(self, tiles: Sequence[Detections]) -> list[int | None]:
        """Decide for each tile of an image which type of cell it shows; see :func:`tile_types`.

        Args:
            tiles: the detections that each tile answers for, as the detector gave them.

        Returns:
            An index into the classes for each tile; None where settings want no vote.
        """
        if self.config['vote'] == 'off':
            return [None] * len(tiles)
        least = _lowest_vote(
            np.concatenate([tile.scores for tile in tiles]), self.config['vote_min_score'])
        heard = [tile[tile.scores >= least] for tile in tiles]
        return [*tile_types(
            np.array([sum_votes(tile.scores, tile.labels, len(self.classes)) for tile in heard]),
            np.array([np.bincount(tile.labels, minlength=len(self.classes)) for tile in heard]))]

    def _vote(self, detections: Detections, winner: int | None) -> Detections:
        action = self.config['vote']
        if action == 'off' or not len(detections):
            return detections
        if winner is None:
            winner = vote_type(detections.scores, detections.labels, len(self.classes),
                               self.config['vote_min_score'])
        if action == 'drop':
            return detections[detections.labels == winner]
        return replace(detections, labels=np.full(len(detections), winner, np.int64))

    def _threshold_masks(self, detections: Detections) -> Detections:
        """Paste the soft masks anew where their class has a threshold of its own."""
        thresholds = self._values('mask_thr', detections, off=np.nan)
        again = np.flatnonzero(np.isfinite(thresholds))
        if not len(again):
            return detections
        if detections.mask_probs is None:
            if not self._warned_of_mask_thr:
                warnings.warn(
                    'mask_thr is ignored: the detections hold masks that are already thresholded '
                    '(set the mask head\'s own threshold instead)', stacklevel=3)
                self._warned_of_mask_thr = True
            return detections
        import torch

        from mmsart.structures.mask.paste import paste_masks  # needs torch, which tools do without
        pasted = paste_masks(
            torch.from_numpy(detections.mask_probs[again]),
            torch.from_numpy(detections.bboxes[again]),
            (detections.masks.height, detections.masks.width), torch.from_numpy(thresholds[again]))
        return replace(
            detections, masks=_replaced(detections, again, pasted.patches(), pasted.boxes))

    def _reshape(
            self, detections: Detections, name: str,
            function: Callable[[np.ndarray], np.ndarray]) -> Detections:
        """Apply a function to the patches of the classes that ask for it."""
        index = np.flatnonzero(self._values(name, detections))
        index = index[detections.masks.areas[index] > 0]
        if not len(index):
            return detections
        patches = detections.masks.patches()
        changed = [function(patches[i]) for i in index.tolist()]
        return replace(
            detections, masks=_replaced(detections, index, changed, detections.masks.boxes[index]))


def _replaced(
        detections: Detections, index: np.ndarray, patches: list[np.ndarray],
        boxes: np.ndarray) -> PatchMasks:
    """Return the masks with those at `index` exchanged."""
    all_patches = detections.masks.patches()
    all_boxes = detections.masks.boxes.copy()
    all_boxes[index] = boxes
    for i, patch in zip(index.tolist(), patches, strict=True):
        all_patches[i] = patch
    masks = detections.masks
    return masks.from_patches(all_patches, all_boxes, masks.height, masks.width)


def vote_type(
        scores: np.ndarray, labels: np.ndarray, num_classes: int, min_score: float = 0.0) -> int:
    """Decide which type of cell an image holds.

    Args:
        scores: (N,) float.
        labels: (N,) int.
        num_classes: how many types there are.
        min_score: detections below it have no vote; where all are, the best one alone has.

    Returns:
        The class with the largest sum of scores; of equal ones, the first.
    """
    heard = scores >= _lowest_vote(scores, min_score)
    return int(np.argmax(sum_votes(scores[heard], labels[heard], num_classes)))


def _lowest_vote(scores: np.ndarray, min_score: float) -> float:
    """Return the score from which on detections vote.

    Where all are too weak, it must not matter how many of the weakest are known: detectors leave
    out those that no threshold passes.
    """
    return min(min_score, float(scores.max(initial=0)))


def sum_votes(scores: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the sum of scores of each class, float64 (num_classes,)."""
    return np.bincount(labels, weights=scores.astype(np.float64), minlength=num_classes)


def tile_types(votes: np.ndarray, counts: np.ndarray) -> list[int]:
    """Decide which type of cell each tile of a large image shows.

    An image shows one type as a rule, and a tile with a handful of cells is no judge of it: the
    whole image is. Only a tile that holds :data:`OWN_TYPE_CELLS` of another type, with
    :data:`OWN_TYPE_FACTOR` times the votes, has that type: images are stitched from several wells,
    too.

    Args:
        votes: (tiles, classes) float, sums of scores.
        counts: (tiles, classes) int, detections that voted.

    Returns:
        An index into the classes for each tile.
    """
    usual = int(np.argmax(votes.sum(0)))
    types = []
    for tile_votes, tile_counts in zip(votes, counts, strict=True):
        own = int(np.argmax(tile_votes))
        decided = (tile_counts[own] >= OWN_TYPE_CELLS
                   and tile_votes[own] >= OWN_TYPE_FACTOR * tile_votes[usual])
        types.append(own if decided else usual)
    return types

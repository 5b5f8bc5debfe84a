"""Score thousands of post-processings of the same predictions.

The pixels of an image fall into *regions*: sets of pixels that lie in exactly the same predicted
and true masks. A crowded image has some thousand of them, and whatever score thresholds, areas,
mask NMS and overlap removal do, a region has one owner. So the masks are looked at once, and each
trial only adds up regions. The result is the competition's
precision, exactly, as long as masks that fall apart are kept whole (``pieces='keep'``).
"""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from mmsart.evaluation.functional import IOU_THRS
from mmsart.postprocessing.overlap import largest_loss, score_order
from mmsart.structures.mask.intersections import pixel_incidence
from mmsart.structures.mask.patch_masks import PatchMasks


@dataclass
class Scene:
    """The arrangement of one image's masks, or of several images' side by side.

    Attributes:
        scores: (P,) float32, falling within an image.
        image: (P,) int64, the image of each prediction.
        area: (P,) int64 pixels.
        gt_area: (G,) int64 pixels.
        num_gt: (I,) int64 true objects of each image.
        region_area: (C,) int64 pixels of each region that a prediction covers.
        covers: (2, E) int64: region and prediction, by region, then by falling score.
        gt_covers: (2, F) int64: region and true object, by region.
        pairs: (2, K) int64: predictions that share pixels, the one with the higher score first.
        pair_iou: (K,) float64.
    """

    scores: np.ndarray
    image: np.ndarray
    area: np.ndarray
    gt_area: np.ndarray
    num_gt: np.ndarray
    region_area: np.ndarray
    covers: np.ndarray
    gt_covers: np.ndarray
    pairs: np.ndarray
    pair_iou: np.ndarray


@dataclass(frozen=True)
class Trial:
    """Settings of one trial, for one class.

    Attributes:
        min_area: pixels, before and after overlap removal.
        max_area: pixels, infinity for none.
        nms_iou_thr: of masks; 1 for none.
        max_lost_share: of a mask's pixels in overlap removal.
    """

    min_area: float = 0
    max_area: float = np.inf
    nms_iou_thr: float = 1.0
    max_lost_share: float = 1.0


@dataclass(frozen=True)
class Curve:
    """What each kept prediction adds to its image's precision, by falling score.

    Attributes:
        scores: (K,) float32, falling.
        image: (K,) int64.
        gain: (K,) float64, the change of the image's precision (mean over IoU thresholds) when
            the score threshold falls to this prediction's score.
        empty: (I,) float64, the precision of each image with nothing kept: 1 where there is no
            true object, else 0.
    """

    scores: np.ndarray
    image: np.ndarray
    gain: np.ndarray
    empty: np.ndarray

    def best_threshold(self, chosen: np.ndarray, floor: float = 0.0) -> tuple[float, float]:
        """Sweep the score threshold over every score.

        Args:
            chosen: (I,) bool, the images that count.
            floor: the least score to look at.

        Returns:
            The largest mean precision over these images, and the threshold that gives it: the
            middle between the last score that passes and the next one, or that score itself
            where none is left. Where it is best to keep nothing, the middle between the highest
            score and 1.
        """
        used = chosen[self.image] & (self.scores >= np.float32(floor))
        scores = self.scores[used].astype(np.float64)
        nothing = self.empty[chosen].sum()
        totals = nothing + np.cumsum(self.gain[used])
        last = np.flatnonzero(np.append(scores[1:] < scores[:-1], True)[:len(scores)])
        number = max(chosen.sum(), 1)
        if not len(last):
            return float(nothing / number), 0.5
        best = last[np.argmax(totals[last])]
        if nothing > totals[best] and scores[0] < 1:
            return float(nothing / number), float((scores[0] + 1) / 2)
        below = scores[best + 1] if best + 1 < len(scores) else scores[best]
        return float(totals[best] / number), float((scores[best] + below) / 2)

    def mean_precision(self, threshold: float, chosen: np.ndarray) -> float:
        """Return the mean precision of some images at a score threshold."""
        used = chosen[self.image] & (self.scores >= np.float32(threshold))
        return float((self.empty[chosen].sum() + self.gain[used].sum()) / max(chosen.sum(), 1))


def arrange(masks: PatchMasks, scores: np.ndarray, truth: PatchMasks) -> Scene:
    """Find the regions of one image.

    Args:
        masks: P predictions; empty ones are allowed.
        scores: (P,) float32.
        truth: G true objects of the same image.

    Returns:
        The arrangement; predictions are ordered by falling score.
    """
    order = score_order(scores)
    ours, theirs = pixel_incidence(masks[order]), pixel_incidence(truth)
    rng = np.random.default_rng(0)  # equal sums of random 64-bit keys mean equal sets of masks
    keys = [rng.integers(-2**62, 2**62, len(m)) for m in (masks, truth)]
    covered = np.flatnonzero(np.bincount(ours.indices, minlength=ours.shape[1]))
    signature = (ours.T.astype(np.int64) @ keys[0] + 3 * (theirs.T.astype(np.int64) @ keys[1]))
    _, first, region_area = np.unique(signature[covered], return_index=True, return_counts=True)
    shared = sparse.coo_array(ours @ ours.T)
    better, worse = shared.coords
    once = better < worse
    better, worse, common = better[once], worse[once], shared.data[once]
    area = np.diff(ours.indptr).astype(np.int64)
    return Scene(
        scores=np.asarray(scores, np.float32)[order],
        image=np.zeros(len(order), np.int64),
        area=area,
        gt_area=np.diff(theirs.indptr).astype(np.int64),
        num_gt=np.array([len(truth)]),
        region_area=region_area,
        covers=_members(ours, covered[first]),
        gt_covers=_members(theirs, covered[first]),
        pairs=np.stack([better, worse]).astype(np.int64),
        pair_iou=common / (area[better] + area[worse] - common))


def _members(incidence: sparse.csr_array, pixels: np.ndarray) -> np.ndarray:
    """List the masks over each of some pixels, (2, E): position among the pixels, and mask."""
    columns = sparse.csc_array(incidence)[:, pixels]
    columns.sort_indices()
    region = np.repeat(np.arange(len(pixels)), np.diff(columns.indptr))
    return np.stack([region, columns.indices.astype(np.int64)])


def side_by_side(scenes: Sequence[Scene]) -> Scene:
    """Put the arrangements of N >= 1 images into one, so that a trial is one pass over all."""
    preds = np.cumsum([0] + [len(s.scores) for s in scenes])
    truths = np.cumsum([0] + [len(s.gt_area) for s in scenes])
    regions = np.cumsum([0] + [len(s.region_area) for s in scenes])

    def joined(arrays: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(arrays, axis=-1)

    return Scene(
        scores=joined([s.scores for s in scenes]),
        image=np.repeat(np.arange(len(scenes)), np.diff(preds)),
        area=joined([s.area for s in scenes]),
        gt_area=joined([s.gt_area for s in scenes]),
        num_gt=joined([s.num_gt for s in scenes]),
        region_area=joined([s.region_area for s in scenes]),
        covers=joined([
            s.covers + [[r], [p]]
            for s, r, p in zip(scenes, regions[:-1], preds[:-1], strict=True)]),
        gt_covers=joined([
            s.gt_covers + [[c], [g]]
            for s, c, g in zip(scenes, regions[:-1], truths[:-1], strict=True)]),
        pairs=joined([s.pairs + p for s, p in zip(scenes, preds[:-1], strict=True)]),
        pair_iou=joined([s.pair_iou for s in scenes]))


def evaluate(scene: Scene, trial: Trial) -> Curve:
    """Post-process and score all images of a scene, at every score threshold at once.

    Lower scores never change what happens to higher ones: neither NMS nor overlap removal looks
    down. So one pass without threshold holds the result of every threshold.

    Args:
        scene: one image or several.
        trial: the settings.

    Returns:
        The precision as a function of the score threshold.
    """
    alive = (scene.area >= max(trial.min_area, 1)) & (scene.area <= trial.max_area)
    _suppress(scene, alive, trial.nms_iou_thr)
    owned_regions, owners = _remove_overlap(scene, alive, trial)
    visible = np.bincount(owners, scene.region_area[owned_regions], minlength=len(alive))
    best = _best_ious(scene, owned_regions, owners, visible)
    kept = np.flatnonzero(alive)
    empty = (scene.num_gt == 0).astype(np.float64)
    gain = _gains(best[kept], scene.image[kept], scene.num_gt, empty)
    order = score_order(scene.scores[kept])
    return Curve(scene.scores[kept][order], scene.image[kept][order], gain[order], empty)


def _suppress(scene: Scene, alive: np.ndarray, iou_thr: float) -> None:
    """Greedy mask NMS; `alive` is changed in place.

    A prediction that is the worse one of no pair is kept for good, and what it beats is gone;
    without them, the next ones are settled.
    """
    better, worse = scene.pairs[:, scene.pair_iou > iou_thr]
    while len(better):
        open_pairs = alive[better] & alive[worse]
        better, worse = better[open_pairs], worse[open_pairs]
        beaten = np.zeros(len(alive), bool)
        beaten[worse] = True
        alive[worse[~beaten[better]]] = False


def _remove_overlap(
        scene: Scene, alive: np.ndarray, trial: Trial) -> tuple[np.ndarray, np.ndarray]:
    """Assign each region to its best remaining prediction; `alive` is changed in place.

    A prediction that loses too much is dropped for good if none of the better ones over it is
    itself about to be dropped: those would free pixels.

    Returns:
        Regions with an owner, and their owners, int64 (C',) each.
    """
    most_lost = np.minimum(
        largest_loss(trial.max_lost_share, scene.area), scene.area - max(trial.min_area, 1))
    regions, preds = scene.covers[:, alive[scene.covers[1]]]
    better, worse = scene.pairs[:, alive[scene.pairs].all(0)]
    while True:
        first = np.ones(len(regions), bool)
        first[1:] = regions[1:] != regions[:-1]
        owned, owners = regions[first], preds[first]
        visible = np.bincount(owners, scene.region_area[owned], minlength=len(alive))
        doomed = alive & (scene.area - visible > most_lost)
        if not doomed.any():
            return owned, owners
        final = doomed.copy()
        final[worse[doomed[better] & doomed[worse]]] = False
        alive[final] = False
        left = alive[preds]
        regions, preds = regions[left], preds[left]


def _best_ious(
        scene: Scene, owned_regions: np.ndarray, owners: np.ndarray,
        visible: np.ndarray) -> np.ndarray:
    """Return each prediction's largest IoU with a true object, (P,) float64."""
    owner_of = np.full(len(scene.region_area), -1, np.int64)
    owner_of[owned_regions] = owners
    regions, truths = scene.gt_covers
    owner = owner_of[regions]
    used = owner >= 0
    shared = sparse.coo_array(
        (scene.region_area[regions[used]], (owner[used], truths[used])),
        shape=(len(visible), len(scene.gt_area)))
    shared.sum_duplicates()
    row, column = shared.coords
    ious = shared.data / (visible[row] + scene.gt_area[column] - shared.data)
    best = np.zeros(len(visible))
    np.maximum.at(best, row, ious)
    return best


def _gains(
        best: np.ndarray, image: np.ndarray, num_gt: np.ndarray, empty: np.ndarray) -> np.ndarray:
    """Return what each kept prediction adds to its image's precision.

    Disjoint predictions cannot both pass an IoU of one half with the same true object, so the
    largest matching at a threshold pairs every prediction that passes it with anything.

    Args:
        best: (K,) float64 largest IoU, by image, then by falling score.
        image: (K,) int64.
        num_gt: (I,) int64.
        empty: (I,) float64, precision with nothing kept.

    Returns:
        (K,) float64.
    """
    if not len(best):
        return np.zeros(0)
    begins = np.flatnonzero(np.append(True, image[1:] != image[:-1]))
    rank = np.arange(len(best)) - np.repeat(begins, np.diff(np.append(begins, len(best))))
    total = np.zeros((len(best) + 1, len(IOU_THRS)))
    np.cumsum(best[:, None] > IOU_THRS, axis=0, out=total[1:])
    hits = total[1:] - total[np.arange(len(best)) - rank]
    precision = (hits / (rank[:, None] + 1 + num_gt[image][:, None] - hits)).mean(1)
    before = np.append(0.0, precision[:-1])
    before[begins] = empty[image[begins]]
    return precision - before

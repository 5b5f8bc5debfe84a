"""The competition's mean average precision over images and IoU thresholds.

For an image and a threshold t, a predicted and a true object may be paired if their IoU is
greater than t; each object is in one pair at most. With TP pairs, FP predictions and FN true
objects left over, precision(t) = TP / (TP + FP + FN). The score is the mean over the thresholds,
then over the images. Classes play no part. The competition has no image without objects; here one
counts 1 if nothing is predicted in it, and 0 otherwise.
Source: evaluation page of Kaggle's "Sartorius - Cell Instance Segmentation" (2021).
"""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmsart.datasets.classes import COMPETITION_IMAGES
from mmsart.evaluation.functional.matching import count_matches
from mmsart.structures.mask.intersections import mask_ious
from mmsart.structures.mask.runs import Runs

IOU_THRS = np.arange(10, 20) / 20
"""0.50:0.05:0.95, each the double nearest to k / 20, as an IoU of exactly k / 20 is."""


@dataclass(frozen=True)
class ImageScore:
    """Matches of one image.

    Attributes:
        tp: int64 (T,), pairs at each threshold.
        num_pred: number of predicted objects.
        num_gt: number of true objects.
    """

    tp: np.ndarray
    num_pred: int
    num_gt: int

    @property
    def fp(self) -> np.ndarray:
        """Predictions without partner, int64 (T,)."""
        return self.num_pred - self.tp

    @property
    def fn(self) -> np.ndarray:
        """True objects without partner, int64 (T,)."""
        return self.num_gt - self.tp

    @property
    def precision(self) -> np.ndarray:
        """TP / (TP + FP + FN), float64 (T,).

        1 where nothing was predicted and nothing is there: the image is judged rightly.
        """
        if not self.num_pred and not self.num_gt:
            return np.ones(len(self.tp))
        return self.tp / (self.num_pred + self.num_gt - self.tp)


def score_image(found: Runs, truth: Runs, iou_thrs: np.ndarray = IOU_THRS) -> ImageScore:
    """Score the predictions of one image.

    Args:
        found: P predicted masks.
        truth: G true masks of the same image.
        iou_thrs: float (T,).

    Returns:
        Its matches; see :class:`ImageScore`.
    """
    tp = count_matches(mask_ious(found, truth), iou_thrs)
    return ImageScore(tp, len(found), len(truth))


def summarize(scores: Sequence[ImageScore], cell_types: Sequence[str],
              classes: Sequence[str]) -> dict[str, float]:
    """Average the scores of images.

    Args:
        scores: of N >= 1 images, at :data:`IOU_THRS`.
        cell_types: type of each image, one of `classes`; another name, as the empty one, counts
            for no type.
        classes: names in label order.

    Returns:
        ``mAP``; ``mAP_<type>`` for each type there is; ``mAP_mix``, the means of the types
        weighted by the competition's number of images, where all its types are there; ``AP50``
        and ``AP75``, mean precision at one threshold; ``recall50``, true objects found at 0.5
        among all; ``TP``, ``FP`` and ``FN`` at 0.5, summed.
    """
    precision = np.stack([score.precision for score in scores])
    per_image = precision.mean(axis=1)
    types = np.asarray(cell_types, str)
    result = dict(mAP=float(per_image.mean()))
    for name in classes:
        if (types == name).any():
            result[f'mAP_{name}'] = float(per_image[types == name].mean())
    if all(f'mAP_{name}' in result for name in COMPETITION_IMAGES):
        total = sum(COMPETITION_IMAGES.values())
        result['mAP_mix'] = sum(
            result[f'mAP_{name}'] * number for name, number in COMPETITION_IMAGES.items()) / total
    tp, fp, fn = (int(sum(getattr(each, key)[0] for each in scores)) for key in ('tp', 'fp', 'fn'))
    result.update(
        AP50=float(precision[:, 0].mean()), AP75=float(precision[:, 5].mean()),
        recall50=tp / (tp + fn) if tp + fn else 0.0, TP=tp, FP=fp, FN=fn)
    return result

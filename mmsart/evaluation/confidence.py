"""How often a final cell of a score is right: what predictions are good enough to learn from."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import IsotonicRegression

from mmsart.evaluation.functional import mask_ious, match_pairs
from mmsart.postprocessing import PostProcessor
from mmsart.structures.predictions import Predictions
from mmsart.utils import UserError, named


@dataclass(frozen=True)
class Confidence:
    """The precision of the final cells of one class.

    Attributes:
        curve: from scores to the share of cells of such a score that hit.
        scores: float (N,), of the validation images' cells.
        hits: bool (N,), whether each of them hits a true cell of its class.
        num_true: true cells on the validation images of this class.
    """

    curve: IsotonicRegression
    scores: np.ndarray
    hits: np.ndarray
    num_true: int

    def precision(self, scores: np.ndarray) -> np.ndarray:
        """Return the share of cells of each score that hit, float64 (n,)."""
        return self.curve.predict(scores) if len(scores) else np.zeros(0)

    def describe(self, min_precision: float) -> str:
        """Say in words what a bound on the precision keeps of the validation images' cells."""
        kept = self.precision(self.scores) >= min_precision
        if not kept.any():
            return f'no score has a precision of {min_precision:g}; no cell is kept'
        return (f'score >= {self.scores[kept].min():.3f}; on validation images {kept.sum():,} of '
                f'{len(kept):,} cells, of which {self.hits[kept].mean():.1%} hit, and '
                f'{self.hits[kept].sum() / max(self.num_true, 1):.1%} of the true ones')


def measure_confidence(images: Sequence[Predictions], process: PostProcessor,
                       iou_thr: float = 0.5, source: str = 'predictions') -> dict[int, Confidence]:
    """Learn the precision of final cells from their scores, for each class.

    A rising curve that fits the hits best (isotonic regression), so that nothing but the order of
    the scores is trusted.

    Args:
        images: predictions of images that the model was not trained on, with truth.
        process: the post-processing.
        iou_thr: a cell is a hit if it has a partner of its class at an IoU above this.
        source: what to call the predictions in a message, such as their file.

    Returns:
        By label; without the classes of which no cell was found.

    Raises:
        UserError: the true cells of an image are of several classes, or of none of these.
    """
    scores: dict[int, list[np.ndarray]] = {}
    hits: dict[int, list[np.ndarray]] = {}
    num_true: dict[int, int] = {}
    for image in images:
        assert image.truth is not None, f'image {image.img_id}: expected its truth'
        if image.cell_type not in process.classes and len(image.truth):
            raise UserError(
                f'{source}: image {image.img_id}: found true cells of several classes, or of '
                f'others, expected one of {named(process.classes)}, as a train.csv holds one '
                'cell_type per image')
        final = process(image.detections)
        rows, _ = match_pairs(mask_ious(final.masks.to_runs(), image.truth.to_runs()), iou_thr)
        hit = np.isin(np.arange(len(final)), rows)
        for label in np.unique(final.labels).tolist():
            mine = final.labels == label
            scores.setdefault(label, []).append(final.scores[mine])
            right = process.classes[label] == image.cell_type
            hits.setdefault(label, []).append(hit[mine] & right)
        if image.cell_type in process.classes:
            label = process.classes.index(image.cell_type)
            num_true[label] = num_true.get(label, 0) + len(image.truth)
    return {label: _fit(np.concatenate(scores[label]), np.concatenate(hits[label]),
                        num_true.get(label, 0)) for label in sorted(scores)}


def _fit(scores: np.ndarray, hits: np.ndarray, num_true: int) -> Confidence:
    curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds='clip').fit(scores, hits)
    return Confidence(curve, scores, hits, num_true)

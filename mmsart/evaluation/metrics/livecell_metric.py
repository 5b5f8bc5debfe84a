"""LIVECell's own evaluation: up to 2,000 detections of an image, whatever their class."""
from collections.abc import Sequence
from typing import Any

from mmdet.registry import METRICS

from mmsart.evaluation.metrics.cropped_coco_metric import CroppedCocoMetric, DenseCocoEval

AREAS = [[0, 1e10], [0, 18 ** 2], [18 ** 2, 31 ** 2], [31 ** 2, 1e10]]
STOCK_NAMES = ('AR@100', 'AR@300', 'AR@1000')
"""mmdet's names of the recalls at the three ``proposal_nums``, whatever these are."""


class LIVECellEval(DenseCocoEval):
    """pycocotools' evaluation with LIVECell's sizes of cells, and without classes."""

    def evaluate(self) -> None:
        """Match detections and truth."""
        self.params.useCats = 0
        self.params.areaRng = AREAS
        super().evaluate()


@METRICS.register_module()
class LIVECellMetric(CroppedCocoMetric):
    """Average precision and recall as the authors of LIVECell compute them.

    Precisions count the best 2,000 detections of an image, recalls 100, 500 and 2,000; a detection
    matches a cell of any class; cells are small below 18², large from 31² pixels (Edlund et al.,
    Nature Methods 2021, and ``code/coco_evaluation.py`` of the repository
    ``sartorius-research/LIVECell``). The truth is that of the data set.

    Args:
        metric: ``'bbox'``, ``'segm'`` or a list of both.
        proposal_nums: detections of an image that count, ascending.
        **kwargs: of `CocoMetric`.
    """

    default_prefix = 'livecell'
    evaluator = LIVECellEval

    def __init__(self, metric: str | Sequence[str] = 'segm',
                 proposal_nums: Sequence[int] = (100, 500, 2000), **kwargs: Any) -> None:
        assert len(proposal_nums) == 3, proposal_nums
        kwargs.setdefault('metric_items', [
            'mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l', *STOCK_NAMES])
        super().__init__(metric=metric if isinstance(metric, str) else list(metric),
                         proposal_nums=proposal_nums, **kwargs)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Score the predictions of all images.

        Args:
            results: of all ranks, one pair of truth and prediction an image.

        Returns:
            Values by name, such as ``segm_mAP`` and ``segm_AR@2000``.
        """
        names = dict(zip(STOCK_NAMES, (f'AR@{count}' for count in self.proposal_nums),
                         strict=True))
        return {
            '_'.join([*head, names.get(tail, tail)]): value
            for key, value in super().compute_metrics(results).items()
            for *head, tail in [key.split('_')]}

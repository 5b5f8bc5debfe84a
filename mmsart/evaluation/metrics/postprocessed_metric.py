"""Metrics of what is left after post-processing."""
import os
from collections.abc import Mapping, MutableMapping
from typing import Any

from mmengine.evaluator import BaseMetric

from mmsart.datasets.classes import class_names
from mmsart.postprocessing import PostProcessor, load_postprocess
from mmsart.structures.data_samples import to_detections
from mmsart.structures.detections import Detections

_KEY = 'final_instances'


class PostprocessedMetric(BaseMetric):
    """Base of metrics that look at final instances.

    Args:
        postprocess: settings of :class:`mmsart.postprocessing.PostProcessor`, or the path of a
            postprocess.json; None for its defaults.
        collect_device: ``'cpu'`` or ``'gpu'``, where ranks exchange results.
        prefix: of the keys.
    """

    def __init__(self, postprocess: Mapping[str, Any] | str | os.PathLike | None = None,
                 collect_device: str = 'cpu', prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.postprocess = postprocess

    @BaseMetric.dataset_meta.setter  # type: ignore[attr-defined]
    def dataset_meta(self, dataset_meta: dict) -> None:
        """Take the classes of a dataset, and complete the settings for them.

        Raises:
            UserError: the settings are wrong, or not those of these classes.
        """
        self._dataset_meta = dataset_meta
        classes = dataset_classes(self)
        self.post_processor = PostProcessor(classes, **load_postprocess(self.postprocess, classes))

    def final_instances(self, sample: MutableMapping[str, Any]) -> Detections:
        """Post-process the detections of a data sample, once for all metrics of an evaluator.

        An evaluator hands the same dicts to each of its metrics, so the result is kept there for
        metrics with the same settings.

        Args:
            sample: a data sample as dict, with ``pred_instances``.

        Returns:
            The instances that are left, by falling score.
        """
        kept = sample.get(_KEY)
        if kept is None or kept[0] != self.post_processor.config:
            kept = self.post_processor.config, self.post_processor(to_detections(sample))
            sample[_KEY] = kept
        return kept[1]


def dataset_classes(metric: BaseMetric) -> tuple[str, ...]:
    """Return the classes of the dataset that a metric looks at, in label order."""
    return class_names(metric.dataset_meta or {})

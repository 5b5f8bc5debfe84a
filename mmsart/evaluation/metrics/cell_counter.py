"""Number of final cells in each image of a test run."""
from collections.abc import Mapping, Sequence
from typing import Any

from mmdet.registry import METRICS

from mmsart.evaluation.metrics.postprocessed_metric import PostprocessedMetric
from mmsart.structures.data_samples import distinct_names, image_name


@METRICS.register_module()
class CellCounter(PostprocessedMetric):
    """Count the instances that are left after post-processing; it gives no score.

    Attributes:
        counts: cells by image, by the names that a submission uses, in their order; of the main
            process, after the test.
    """

    default_prefix = 'cells'

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.counts: dict[str, int] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count the instances of one batch.

        Args:
            data_batch: not used.
            data_samples: data samples as dicts, with ``pred_instances``.
        """
        self.results += [
            (sample.get('img_path', ''), image_name(sample), len(self.final_instances(sample)))
            for sample in data_samples]

    def compute_metrics(self, results: list[tuple[str, str, int]]) -> dict[str, float]:
        """Keep the counts; in the log they would be a line of thousands.

        Args:
            results: of all ranks: the file, the name and the count of each image.

        Returns:
            No value.
        """
        paths, names, counts = zip(*results, strict=True)
        self.counts = dict(sorted(zip(distinct_names(names, paths), counts, strict=True)))
        return {}


def describe_counts(counts: Mapping[str, float]) -> list[str]:
    """Say how many cells each image has, a line each."""
    return [f'{name}: {count} cell{"" if count == 1 else "s"}' for name, count in counts.items()]

"""Raw predictions of a test run, written to a file."""
import os
from collections.abc import Mapping, Sequence
from typing import Any

from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from mmsart.evaluation.metrics.postprocessed_metric import dataset_classes
from mmsart.formats.predictions import save_predictions, to_plain
from mmsart.structures.data_samples import distinct_names, to_predictions


@METRICS.register_module()
class PredictionWriter(BaseMetric):
    """Write what the model found, before any post-processing, and the truth where it is known.

    The file is what tools/tune_postprocess.py and the analysis tools read; it gives no score.

    Args:
        path: the file, see :mod:`mmsart.formats.predictions`.
        postprocess: complete settings of post-processing to keep with the predictions, for tools
            that show the final cells.
        collect_device: ``'cpu'`` or ``'gpu'``, where ranks exchange results.
    """

    default_prefix = 'predictions'

    def __init__(self, path: str | os.PathLike, postprocess: Mapping[str, Any] | None = None,
                 collect_device: str = 'cpu') -> None:
        super().__init__(collect_device=collect_device)
        self.path, self.postprocess = path, postprocess

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Collect the predictions of one batch.

        Args:
            data_batch: not used.
            data_samples: data samples as dicts, with ``pred_instances``.
        """
        classes = dataset_classes(self)
        for sample in data_samples:
            self.results.append(
                (sample.get('img_path', ''), to_plain(to_predictions(sample, classes))))

    def compute_metrics(self, results: list[tuple[str, dict[str, Any]]]) -> dict[str, float]:
        """Write the file.

        Args:
            results: of all ranks: the file and the predictions of each image.

        Returns:
            No value.
        """
        images = [plain for _, plain in results]
        names = distinct_names([plain['img_id'] for plain in images], [path for path, _ in results])
        for plain, name in zip(images, names, strict=True):
            plain['img_id'] = name
        images.sort(key=lambda plain: plain['img_id'])  # whatever the number of ranks
        save_predictions(self.path, images, dataset_classes(self), self.postprocess)
        MMLogger.get_current_instance().info(f'predictions written to {self.path}')
        return {}

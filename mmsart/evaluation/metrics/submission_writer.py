"""Final instances of a test run, written in Kaggle's format."""
import os
from collections.abc import Mapping, Sequence
from typing import Any

from mmdet.registry import METRICS
from mmengine.logging import MMLogger

from mmsart.evaluation.metrics.postprocessed_metric import PostprocessedMetric
from mmsart.formats.submission import write_submission
from mmsart.postprocessing import check_disjoint
from mmsart.structures.data_samples import distinct_names, image_name


@METRICS.register_module()
class SubmissionWriter(PostprocessedMetric):
    """Post-process predictions and write them as a submission; it gives no score.

    Args:
        path: the CSV file.
        postprocess: settings of :class:`mmsart.postprocessing.PostProcessor`, or the path of a
            postprocess.json; None for its defaults. Has to remove overlap.
        collect_device: ``'cpu'`` or ``'gpu'``, where ranks exchange results.
    """

    default_prefix = 'submission'

    def __init__(self, path: str | os.PathLike,
                 postprocess: Mapping[str, Any] | str | os.PathLike | None = None,
                 collect_device: str = 'cpu') -> None:
        super().__init__(postprocess, collect_device)
        self.path = path

    @PostprocessedMetric.dataset_meta.setter  # type: ignore[attr-defined]
    def dataset_meta(self, dataset_meta: dict) -> None:
        """Take the classes of a dataset, and refuse settings that no submission may have.

        Raises:
            UserError: overlap is left, or the settings are not those of these classes.
        """
        PostprocessedMetric.dataset_meta.fset(self, dataset_meta)  # type: ignore[attr-defined]
        check_disjoint(self.post_processor.config, self.path)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Post-process the images of one batch.

        Args:
            data_batch: not used.
            data_samples: data samples as dicts, with ``pred_instances``.
        """
        for sample in data_samples:
            final = self.final_instances(sample)
            self.results.append(
                (sample.get('img_path', ''), image_name(sample), final.masks.to_rles()))

    def compute_metrics(self, results: list[tuple[str, str, list[dict]]]) -> dict[str, float]:
        """Write the file.

        Args:
            results: of all ranks: the file, the name and the masks of each image.

        Returns:
            No value.
        """
        paths, names, masks = zip(*results, strict=True)
        final = dict(zip(distinct_names(names, paths), masks, strict=True))
        write_submission(self.path, final.items(), sorted(final))
        MMLogger.get_current_instance().info(f'submission written to {self.path}')
        return {}

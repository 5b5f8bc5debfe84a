"""The competition's score as an mmengine metric."""
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmdet.registry import METRICS
from mmengine.logging import MMLogger
from terminaltables import AsciiTable

from mmsart.evaluation.functional import IOU_THRS, ImageScore, score_image, summarize
from mmsart.evaluation.metrics.postprocessed_metric import PostprocessedMetric, dataset_classes
from mmsart.structures.data_samples import cell_type, image_name, true_masks
from mmsart.utils.errors import UserError


@METRICS.register_module()
class SartoriusMetric(PostprocessedMetric):
    """Score predictions as Kaggle does, after the post-processing that a submission gets.

    The truth is what :func:`mmsart.structures.data_samples.true_masks` finds in a data sample: the
    annotation of the dataset, where the test pipeline's PackDetInputs names ``instances`` among its
    ``meta_keys``, or loaded masks. Classes are those of the dataset's ``metainfo``. An image's type
    is its ``cell_type``, if that is among the ``meta_keys`` too, else the class that all its
    instances share.

    Args:
        postprocess: settings of :class:`mmsart.postprocessing.PostProcessor`, or the path of a
            postprocess.json; None for its defaults.
        collect_device: ``'cpu'`` or ``'gpu'``, where ranks exchange results.
        prefix: of the keys.
    """

    default_prefix = 'sartorius'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Score the images of one batch.

        Args:
            data_batch: not used.
            data_samples: data samples as dicts, with ``pred_instances``.

        Raises:
            UserError: a sample lacks the truth.
        """
        classes = dataset_classes(self)
        for sample in data_samples:
            name, truth = image_name(sample), true_masks(sample)
            if truth is None:
                raise UserError(
                    f'image {name}: no instances in the meta data, expected a test '
                    'pipeline whose PackDetInputs has instances in its meta_keys')
            final = self.final_instances(sample)
            self.results.append(dict(
                img_id=name,
                cell_type=cell_type(sample, classes),
                score=score_image(final.masks.to_runs(), truth.to_runs())))

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Average over the images.

        Args:
            results: of all ranks, one dict per image.

        Returns:
            The keys of :func:`mmsart.evaluation.functional.summarize`.
        """
        results = sorted(results, key=lambda result: result['img_id'])  # sums do not hang on ranks
        scores = [result['score'] for result in results]
        types = [result['cell_type'] for result in results]
        classes = dataset_classes(self)
        MMLogger.get_current_instance().info(
            'competition mAP\n' + format_table(scores, types, classes))
        return summarize(scores, types, classes)


def format_table(scores: Sequence[ImageScore], cell_types: Sequence[str],
                 classes: Sequence[str]) -> str:
    """Lay out the score per cell type as text.

    Args:
        scores: of the images.
        cell_types: their types.
        classes: names in label order.

    Returns:
        A table with a row per type and one for all.
    """
    types = np.asarray(cell_types, str)
    rows: list[list[Any]] = [
        ['cells', 'images', 'mAP', 'AP50', 'AP75', 'recall50', 'TP', 'FP', 'FN']]
    for name in (*classes, 'all'):
        chosen = [s for s, kind in zip(scores, types, strict=True) if name in (kind, 'all')]
        if chosen:
            values = summarize(chosen, [''] * len(chosen), ())
            rows.append([name, len(chosen)] + [
                f'{values[key]:.4f}' for key in ('mAP', 'AP50', 'AP75', 'recall50')] + [
                values[key] for key in ('TP', 'FP', 'FN')])
    return str(AsciiTable(rows).table) + (
        f'\nTP, FP, FN and recall at IoU > {IOU_THRS[0]:.2f}; mAP over {IOU_THRS[0]:.2f} to '
        f'{IOU_THRS[-1]:.2f}')

"""The competition's score as an mmengine metric."""
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from terminaltables import AsciiTable

from mmsart.datasets.classes import CLASSES
from mmsart.evaluation.functional import IOU_THRS, ImageScore, score_image, summarize
from mmsart.formats.predictions import save_predictions, to_plain
from mmsart.formats.submission import write_submission
from mmsart.postprocessing import PostProcessor, load_postprocess
from mmsart.structures.data_samples import to_predictions
from mmsart.utils.errors import UserError


@METRICS.register_module()
class SartoriusMetric(BaseMetric):
    """Score predictions as Kaggle does, after the post-processing that a submission gets.

    A data sample carries its truth as the meta keys ``instances`` (with Kaggle's run-length code
    as ``mask``), ``cell_type`` and ``sample_id``, so the test pipeline's PackDetInputs has to
    name them, beside ``img_id`` and ``ori_shape``.

    Args:
        postprocess: settings of :class:`mmsart.postprocessing.PostProcessor`, or the path of a
            postprocess.json; None for its defaults.
        submission_file: also write the final instances there, in Kaggle's format.
        predictions_file: also write the raw predictions there, for tools/tune_postprocess.py.
        format_only: compute no score, for images without annotation.
        collect_device: ``'cpu'`` or ``'gpu'``, where ranks exchange results.
        prefix: of the keys.
    """

    default_prefix = 'sartorius'

    def __init__(self, postprocess: Mapping[str, Any] | str | os.PathLike | None = None,
                 submission_file: str | None = None, predictions_file: str | None = None,
                 format_only: bool = False, collect_device: str = 'cpu',
                 prefix: str | None = None) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.post_processor = PostProcessor(**load_postprocess(postprocess))
        if submission_file and not self.post_processor.config['remove_overlap']:
            raise UserError(
                f'{submission_file}: post-processing has remove_overlap off, expected it on, '
                'since the masks of a submission must not share a pixel')
        self.submission_file = submission_file
        self.predictions_file = predictions_file
        self.format_only = format_only

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Score the images of one batch.

        Args:
            data_batch: not used.
            data_samples: data samples as dicts, with ``pred_instances``.

        Raises:
            UserError: a sample lacks the truth.
        """
        for sample in data_samples:
            raw = to_predictions(sample, CLASSES)
            if raw.truth is None and not self.format_only:
                raise UserError(
                    f'image {raw.img_id}: no instances in the meta data, expected PackDetInputs '
                    'with instances and cell_type in meta_keys, or format_only=True')
            final = self.post_processor(raw.detections).masks
            self.results.append(dict(
                img_id=raw.img_id,
                cell_type=raw.cell_type,
                score=None if raw.truth is None else score_image(
                    final.to_runs(), raw.truth.to_runs()),
                rles=final.to_rles() if self.submission_file else None,
                raw=to_plain(raw) if self.predictions_file else None))

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Average over the images and write the files asked for.

        Args:
            results: of all ranks, one dict an image.

        Returns:
            The keys of :func:`mmsart.evaluation.functional.summarize`.
        """
        logger = MMLogger.get_current_instance()
        results = sorted(results, key=lambda result: result['img_id'])  # sums do not hang on ranks
        if self.predictions_file:
            save_predictions(
                self.predictions_file, [result['raw'] for result in results], CLASSES)
            logger.info(f'predictions written to {self.predictions_file}')
        if self.submission_file:
            final = {result['img_id']: result['rles'] for result in results}
            write_submission(self.submission_file, final.items(), list(final))
            logger.info(f'submission written to {self.submission_file}')
        if self.format_only:
            return {}
        scores = [result['score'] for result in results]
        types = [result['cell_type'] for result in results]
        logger.info('competition mAP\n' + format_table(scores, types))
        return summarize(scores, types)


def format_table(scores: Sequence[ImageScore], cell_types: Sequence[str]) -> str:
    """Lay out the score a cell type as text.

    Args:
        scores: of the images.
        cell_types: their types.

    Returns:
        A table with a row a type and one for all.
    """
    types = np.asarray(cell_types, str)
    rows: list[list[Any]] = [
        ['cells', 'images', 'mAP', 'AP50', 'AP75', 'recall50', 'TP', 'FP', 'FN']]
    for name in (*CLASSES, 'all'):
        chosen = [s for s, kind in zip(scores, types, strict=True) if name in (kind, 'all')]
        if chosen:
            values = summarize(chosen, [''] * len(chosen))
            rows.append([name, len(chosen)] + [
                f'{values[key]:.4f}' for key in ('mAP', 'AP50', 'AP75', 'recall50')] + [
                values[key] for key in ('TP', 'FP', 'FN')])
    return str(AsciiTable(rows).table) + (
        f'\nTP, FP, FN and recall at IoU > {IOU_THRS[0]:.2f}; mAP over {IOU_THRS[0]:.2f} to '
        f'{IOU_THRS[-1]:.2f}')

"""COCO's metric for box-local masks."""
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

from mmdet.datasets.api_wrappers import COCOeval
from mmdet.evaluation import CocoMetric
from mmdet.evaluation.metrics import coco_metric
from mmdet.registry import METRICS
from mmengine.fileio import dump, load

from mmsart.structures.mask.patch_masks import PatchMasks


class DenseCocoEval(COCOeval):
    """pycocotools' evaluation, whose mAP counts as many detections as its other precisions."""

    def summarize(self) -> None:
        """Compute the twelve numbers of COCO, without printing them."""
        with redirect_stdout(io.StringIO()):
            super().summarize()
        precision = self.eval['precision'][:, :, :, 0, -1]  # IoU, recall, class; all areas
        known = precision[precision > -1]
        self.stats[0] = known.mean() if known.size else -1


@METRICS.register_module()
class CroppedCocoMetric(CocoMetric):
    """`CocoMetric` that takes `CroppedMasks`, and Kaggle's run-length codes as ground truth.

    Masks go from their patches to COCO's code without a full-size bitmap. Arguments are
    `CocoMetric`'s. Without ``ann_file`` the truth is what the data sample carries as ``instances``,
    which the test pipeline's PackDetInputs has to name among its ``meta_keys``.

    Images that were not predicted, as where ``indices`` of the data set name a few, do not count.
    All precisions count as many detections of an image as the last of ``proposal_nums``, 1,000 by
    default. COCO's own ``mAP`` counts 100, whatever these are, and is -1 if none of them is 100.
    Cells are small, medium or large by the areas of their masks.
    """

    evaluator: type[COCOeval] = DenseCocoEval

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Collect the predictions of one batch.

        Args:
            data_batch: not used.
            data_samples: data samples as dicts, with ``pred_instances``.
        """
        super().process(data_batch, [_with_coco_masks(sample) for sample in data_samples])

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Score the predictions of all images.

        Args:
            results: of all ranks, one pair of truth and prediction an image.

        Returns:
            `CocoMetric`'s values.
        """
        ids = [truth['img_id'] for truth, _ in results]
        if len(set(ids)) < len(ids):  # of data sets that are joined, each of which counts its own
            ids = list(range(len(results)))
            results = [({**truth, 'img_id': number}, {**predicted, 'img_id': number})
                       for number, (truth, predicted) in enumerate(results)]
        self.img_ids = ids  # not all those of ann_file
        with self.evaluation():
            return super().compute_metrics(results)

    def gt_to_coco_json(self, gt_dicts: Sequence[dict], outfile_prefix: str) -> str:
        """Write the truth with the areas of masks, where `CocoMetric` takes those of boxes.

        By these areas cells are small, medium or large, as they are by those of an ``ann_file``.

        Args:
            gt_dicts: of each image ``height``, ``width`` and ``anns``.
            outfile_prefix: how the file begins.

        Returns:
            The file.
        """
        path = super().gt_to_coco_json(gt_dicts, outfile_prefix)
        content = load(path)
        masked = [each for each in content.get('annotations', ()) if 'segmentation' in each]
        areas = (area for truth in gt_dicts for area in PatchMasks.from_annotations(
            [each['mask'] for each in truth['anns'] if each.get('mask')],
            truth['height'], truth['width']).areas.tolist())
        for annotation, area in zip(masked, areas, strict=True):
            annotation['area'] = area
        dump(content, path)
        return path

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Have `CocoMetric` use the evaluator; it offers no other way to choose one."""
        stock = coco_metric.COCOeval
        coco_metric.COCOeval = self.evaluator
        try:
            yield
        finally:
            coco_metric.COCOeval = stock


def _with_coco_masks(sample: dict) -> dict:
    """Copy a sample as far as needed and encode its masks."""
    sample = dict(sample)
    predicted = dict(sample['pred_instances'])
    if isinstance(predicted.get('masks'), PatchMasks):
        predicted['masks'] = predicted['masks'].to_coco()
    sample['pred_instances'] = predicted
    truth = sample.get('instances')  # without the key CocoMetric itself says what it needs
    if truth is not None and all(isinstance(instance.get('mask'), str) for instance in truth):
        codes = PatchMasks.from_annotations(
            [instance['mask'] for instance in truth], *sample['ori_shape'][:2]).to_coco()
        sample['instances'] = [
            dict(instance, mask=code) for instance, code in zip(truth, codes, strict=True)]
    return sample

"""RoI head for images that show cells of one type each: what a cell is, told once per image."""
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, SampleList
from mmdet.utils import ConfigType, InstanceList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmsart.models.roi_heads.cascade_mask_roi_head import CascadeMaskRoIHead
from mmsart.models.roi_heads.flip_tta_roi_head import FlippedView
from mmsart.utils import UserError


@MODELS.register_module()
class OneTypeRoIHead(CascadeMaskRoIHead):
    """`CascadeMaskRoIHead` that finds cells of any type, and the type of the image.

    Boxes and masks of all types are learned as one class, so that rare types learn from frequent
    ones. A linear layer on the mean of the coarsest feature map tells the type of the image, and
    each of its cells is given this type. Box heads have one class, and the mask head is
    ``class_agnostic``; its ``num_classes`` stays the number of types.

    Args:
        type_loss_weight: what the image's type counts in the loss.
        **kwargs: see `CascadeMaskRoIHead`.

    Raises:
        UserError: a head tells types apart.
    """

    def __init__(self, *args: Any, type_loss_weight: float = 0.5, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if any(head.num_classes != 1 for head in self.bbox_heads):
            raise UserError('model.roi_head.bbox_head: found a stage with several classes, '
                            'expected num_classes=1 in each of a OneTypeRoIHead')
        if not self.mask_head.class_agnostic:
            raise UserError('model.roi_head.mask_head.class_agnostic: found False, expected True '
                            'in a OneTypeRoIHead')
        self.type_loss_weight = type_loss_weight
        self.type_head = nn.Linear(
            self.bbox_roi_extractor.out_channels, self.mask_head.num_classes)

    def loss(self, x: tuple[Tensor], rpn_results_list: InstanceList,
             batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Compute the losses of `CascadeMaskRoIHead` for cells of one class, and of the type.

        Args:
            x: feature maps of all levels, (B, C, h, w) each.
            rpn_results_list: proposals of each image, as ``bboxes`` (n, 4) xyxy.
            batch_data_samples: with ``gt_instances``; the type of an image is that of most of its
                cells, and images without cells teach none.

        Returns:
            Losses by name, with ``loss_type``.
        """
        losses = super().loss(x, rpn_results_list, [_as_one_class(s) for s in batch_data_samples])
        labels = [sample.gt_instances.labels for sample in batch_data_samples]
        filled = [number for number, each in enumerate(labels) if len(each)]
        logits = self._type_logits(x)
        losses['loss_type'] = logits.sum() * 0  # for processes whose images have no cells
        if filled:
            types = torch.stack([labels[number].mode().values for number in filled])
            losses['loss_type'] = self.type_loss_weight * F.cross_entropy(logits[filled], types)
        return losses

    def predict_bbox(self, x: Any, batch_img_metas: list[dict], rpn_results_list: InstanceList,
                     rcnn_test_cfg: ConfigType, rescale: bool = False) -> InstanceList:
        """Find cells, and give those of an image its type.

        Args:
            x: feature maps of all levels, or the views of `FlipTTARoIHead`, whose types' mean
                probabilities count.
            batch_img_metas: one dict per image, with ``img_shape`` (h, w).
            rpn_results_list: proposals of each image, as ``bboxes`` (n, 4) xyxy.
            rcnn_test_cfg: ``test_cfg.rcnn`` of the model.
            rescale: give boxes in the original image.

        Returns:
            ``bboxes`` (m, 4), ``scores`` (m,) and ``labels`` (m,) of each image.
        """
        results = super().predict_bbox(
            x, batch_img_metas, rpn_results_list, rcnn_test_cfg, rescale)
        views = [view.features for view in x] if isinstance(x[0], FlippedView) else [x]
        probs = torch.stack([self._type_logits(view).softmax(-1) for view in views]).mean(0)
        for found, label in zip(results, probs.argmax(-1), strict=True):
            found.labels = label.expand(len(found)).clone()
        return results

    def _type_logits(self, x: Sequence[Tensor]) -> Tensor:
        return self.type_head(x[-1].mean((2, 3)))


def _as_one_class(sample: DetDataSample) -> DetDataSample:
    """Return the sample with the label 0 for all cells; masks and boxes are shared."""
    truth = InstanceData(**dict(sample.gt_instances.items()))
    truth.labels = torch.zeros_like(truth.labels)
    other = DetDataSample(metainfo=sample.metainfo)
    other.gt_instances = truth
    if 'ignored_instances' in sample:
        other.ignored_instances = sample.ignored_instances
    return other

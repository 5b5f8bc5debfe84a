"""RoI head whose predictions are box-local masks, also where there are none."""
from typing import Any

import torch
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi
from mmdet.utils import InstanceList
from torch import Tensor

from mmsart.models.roi_heads.cropped_fcn_mask_head import CroppedFCNMaskHead
from mmsart.models.roi_heads.instance_weights import weighted_bbox_loss

# Detections that go through the mask head at a time. With 256 channels each takes 1.2 MB there, so
# that a thousand at once would need more memory than the rest of the network.
CHUNK_ROIS = 256


@MODELS.register_module()
class CroppedMaskRoIHead(StandardRoIHead):
    """Ask the mask head for the masks of every batch, even one without detections.

    `StandardRoIHead` answers for such a batch itself, with a full-size tensor and a mask threshold
    that it takes for one number. Here the head, :class:`CroppedFCNMaskHead`, always answers.

    In training, cells count in the losses of boxes and masks by ``gt_instances.weights``, where
    there are some; proposals come from an RPN that takes all cells for equal.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        head = getattr(self, 'mask_head', None)
        if self.test_cfg and isinstance(head, CroppedFCNMaskHead):
            head.read_thresholds(self.test_cfg.mask_thr_binary)  # wrong ones are refused here

    def loss(self, x: tuple[Tensor], rpn_results_list: InstanceList,
             batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Compute the losses; see mmdet's `StandardRoIHead.loss`."""
        self._truth = [sample.gt_instances for sample in batch_data_samples]  # for bbox_loss
        return super().loss(x, rpn_results_list, batch_data_samples)

    def bbox_loss(self, x: tuple[Tensor], sampling_results: list[SamplingResult]) -> dict[str, Any]:
        """Compute the losses of the box head.

        Args:
            x: feature maps of all levels, (B, C, h, w) each.
            sampling_results: RoIs of each image.

        Returns:
            What the box head gives, ``loss_bbox`` and ``bbox_targets``.
        """
        rois = bbox2roi([each.priors for each in sampling_results])
        results = self._bbox_forward(x, rois)
        return results | weighted_bbox_loss(
            self.bbox_head, results, rois, sampling_results, self._truth, self.train_cfg)

    def predict_mask(
        self, x: tuple[Tensor], batch_img_metas: list[dict], results_list: InstanceList,
        rescale: bool = False,
    ) -> InstanceList:
        """Add masks to the detections.

        Args:
            x: feature maps of all levels, (B, C, h, w) each.
            batch_img_metas: one dict per image with 'ori_shape' (h, w) and 'scale_factor' (w, h).
            results_list: detections of each image, boxes in the frame of the network's input.
            rescale: give boxes and masks in the original image.

        Returns:
            ``results_list`` with ``masks`` added.
        """
        rois = bbox2roi([results.bboxes for results in results_list])
        mask_preds = torch.cat([
            self._mask_forward(x, chunk)['mask_preds'] for chunk in rois.split(CHUNK_ROIS)])
        return self.mask_head.predict_by_feat(
            mask_preds=mask_preds.split([len(results) for results in results_list], 0),
            results_list=results_list,
            batch_img_metas=batch_img_metas,
            rcnn_test_cfg=self.test_cfg,
            rescale=rescale)

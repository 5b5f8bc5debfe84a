"""A teacher that shows a student unlabelled cells, with their masks."""
import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from mmdet.models.detectors import SoftTeacher
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.utils import InstanceList
from torch import Tensor, nn
from typing_extensions import Self

from mmsart.structures.mask.cropped_masks import as_cropped

TO_CENTRES = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
"""From coordinates of pixels' borders, as boxes have them, to those of centres, as OpenCV has."""


@MODELS.register_module()
class MaskSoftTeacher(SoftTeacher):
    """`SoftTeacher` (Xu et al., End-to-End Semi-Supervised Object Detection, 2021) for Mask R-CNN.

    mmdet's hands boxes alone from teacher to student, and fails where the teacher has a mask head.
    Here the masks that the teacher finds go along: they are warped to the student's view as the
    boxes are, and the student's mask head learns from those cells whose boxes keep still when they
    are jittered, the same ones that its box regression learns from. Tests ask the teacher.

    Takes any two-stage detector whose RoI head gives masks; transforms between the two views must
    be affine. See :class:`mmdet.models.detectors.SoftTeacher` for the arguments.
    """

    @property
    def members(self) -> list[nn.Module]:
        """The teacher, for :func:`~mmsart.models.detectors.members.detectors_of`."""
        return [self.teacher]

    def train(self, mode: bool = True) -> Self:
        """Set the student's mode; the teacher, which never learns by itself, stays as in a test."""
        super().train(mode)
        self.teacher.eval()
        return self

    def compute_uncertainty_with_aug(self, x: tuple[Tensor],
                                     batch_data_samples: SampleList) -> list[Tensor]:
        """Say how much boxes move when they are refined from jittered ones; see mmdet.

        Args:
            x: the teacher's feature maps of all levels, (B, C, h, w) each.
            batch_data_samples: with what the teacher has found as ``gt_instances``.

        Returns:
            float (n, 4) for each image, in parts of the box's size, averaged over its sides.
        """
        with _boxes_alone(self.teacher.roi_head):
            return super().compute_uncertainty_with_aug(x, batch_data_samples)

    def project_pseudo_instances(self, batch_pseudo_instances: SampleList,
                                 batch_data_samples: SampleList) -> SampleList:
        """Bring what the teacher has found to the student's views.

        Args:
            batch_pseudo_instances: ``gt_instances`` with boxes in the frame of the image on disk
                and masks in that of the teacher's view, and the view's ``homography_matrix``.
            batch_data_samples: the student's views of the same images.

        Returns:
            ``batch_data_samples`` with ``gt_instances``.
        """
        for found, sample in zip(batch_pseudo_instances, batch_data_samples, strict=True):
            masks = as_cropped(found.gt_instances.masks, *_frame(found.gt_instances.masks))
            matrix = (TO_CENTRES @ sample.homography_matrix
                      @ np.linalg.inv(found.homography_matrix) @ np.linalg.inv(TO_CENTRES))
            found.gt_instances.masks = masks.warp_affine(matrix[:2], sample.img_shape)
        return super().project_pseudo_instances(batch_pseudo_instances, batch_data_samples)

    def rcnn_reg_loss_by_pseudo_instances(
            self, x: tuple[Tensor], unsup_rpn_results_list: InstanceList,
            batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Compute the losses of boxes and masks on cells whose boxes are certain.

        Args:
            x: the student's feature maps of all levels, (B, C, h, w) each.
            unsup_rpn_results_list: the student's proposals.
            batch_data_samples: the student's views with what the teacher has found.

        Returns:
            ``loss_bbox``, ``loss_mask`` and, if the mask head has it, ``loss_dice``.
        """
        samples = copy.deepcopy(batch_data_samples)
        for sample in samples:
            cells = sample.gt_instances
            if len(cells):
                sample.gt_instances = cells[cells.reg_uncs < self.semi_train_cfg.reg_pseudo_thr]
        losses = self.student.roi_head.loss(x, copy.deepcopy(unsup_rpn_results_list), samples)
        return {name: losses[name] for name in ('loss_bbox', 'loss_mask', 'loss_dice')
                if name in losses}


@contextmanager
def _boxes_alone(roi_head: Any) -> Iterator[None]:
    """Let a RoI head predict boxes without masks."""
    mask_head, roi_head.mask_head = roi_head.mask_head, None
    try:
        yield
    finally:
        roi_head.mask_head = mask_head


def _frame(masks: Any) -> tuple[int, int]:
    """Return (h, w) of masks of any kind."""
    size = masks.shape[-2:] if isinstance(masks, Tensor) else (masks.height, masks.width)
    return int(size[0]), int(size[1])

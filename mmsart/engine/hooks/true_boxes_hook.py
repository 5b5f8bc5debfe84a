"""A test with perfect boxes: what is left to gain from better ones."""
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet.models.roi_heads import SparseRoIHead
from mmdet.utils import InstanceList
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch import Tensor

from mmsart.utils import UserError
from mmsart.utils.bare_model import bare_model


@HOOKS.register_module()
class TrueBoxesHook(Hook):
    """Hand the true boxes and classes to the mask head for the length of a test.

    They take the place of what the box head finds, each with a score of 1; all behind it, such as
    flips and `score_by_mask_iou`, goes on as ever. The detector has to be a two-stage one whose
    RoI head has ``predict_bbox`` and ``predict_mask``, as mmdet's `StandardRoIHead`.
    """

    def before_test(self, runner: Runner) -> None:
        """Put the truth in the place of the box head.

        Raises:
            UserError: the detector has no RoI head with masks, or masks of queries, not of boxes.
        """
        head = self._roi_head(runner)
        if not getattr(head, 'with_mask', False):
            raise UserError('--true-boxes: found a model without RoI head and masks, expected both')
        if isinstance(head, SparseRoIHead):
            raise UserError(f'--true-boxes: found a {type(head).__name__}, whose masks come from '
                            'queries, expected a RoI head whose masks come from boxes')
        head.predict_bbox = _true_boxes

    def after_test(self, runner: Runner) -> None:
        """Put the box head back."""
        del self._roi_head(runner).predict_bbox

    @staticmethod
    def _roi_head(runner: Runner) -> Any:
        return getattr(bare_model(runner.model), 'roi_head', None)


def _true_boxes(x: Sequence[Any], batch_img_metas: Sequence[Mapping[str, Any]],
                rpn_results_list: InstanceList, rcnn_test_cfg: Any,
                rescale: bool = False, **branches: Any) -> InstanceList:
    """Stand in for ``predict_bbox``; see `CascadeMaskRoIHead.predict_bbox` for the arguments.

    That of HTC gets the maps of another branch too.
    """
    device = rpn_results_list[0].bboxes.device
    return [_read_boxes(meta, device, rescale) for meta in batch_img_metas]


def _read_boxes(meta: Mapping[str, Any], device: torch.device, rescale: bool) -> InstanceData:
    if 'instances' not in meta:
        raise UserError(f'{meta.get("img_path")}: no true boxes, expected instances among the '
                        'meta_keys of PackDetInputs in the test pipeline')
    instances = [each for each in meta['instances'] if not each.get('ignore_flag')]
    boxes = torch.tensor([each['bbox'] for each in instances], device=device).reshape(-1, 4).float()
    if not rescale:  # the head wants the frame of the network's input
        boxes = boxes * boxes.new_tensor(meta['scale_factor']).repeat(2)
    labels: Tensor = torch.tensor([each['bbox_label'] for each in instances], dtype=torch.long,
                                  device=device)
    return InstanceData(bboxes=boxes, scores=boxes.new_ones(len(boxes)), labels=labels)

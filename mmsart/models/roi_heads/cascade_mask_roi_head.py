"""RoI head that refines boxes in stages and paints masks in the last boxes alone."""
from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.models.utils import empty_instances, unpack_gt_instances
from mmdet.registry import MODELS, TASK_UTILS
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi
from mmdet.utils import ConfigType, InstanceList
from torch import Tensor, nn

from mmsart.models.roi_heads.flip_tta_roi_head import TINY, FlipTTARoIHead
from mmsart.models.roi_heads.instance_weights import weighted_bbox_loss
from mmsart.utils import UserError


@MODELS.register_module()
class CascadeMaskRoIHead(FlipTTARoIHead):
    """Box heads one behind the other, each learning from better boxes, and one mask head.

    Cascade R-CNN (Cai and Vasconcelos, CVPR 2018) as mmdet's `CascadeRoIHead` has it, but with one
    mask head, which sees the boxes of the last stage, where mmdet trains and runs one per stage.
    The scores of a test are means of the stages' class probabilities, each over the boxes that the
    stage was given. Takes test-time flips as `FlipTTARoIHead` does.

    Args:
        bbox_head: a list with the config of each stage's head; ``reg_class_agnostic`` has to be
            on, since a box is handed on without its class.
        stage_loss_weights: what each stage's box losses count.
        stage_score_weights: what each stage's class probabilities count in the scores of a test;
            all the same unless given.
        train_cfg: of the stages in a list, each with ``assigner`` and ``sampler``; masks learn
            by the last one.
        **kwargs: see `StandardRoIHead`.

    Raises:
        UserError: the lists are not of one length, or a head regresses boxes by class.
    """

    def __init__(self, *args: Any, bbox_head: Sequence[dict],
                 stage_loss_weights: Sequence[float] = (1.0, 0.5),
                 stage_score_weights: Sequence[float] | None = None,
                 train_cfg: Sequence[dict] | None = None, **kwargs: Any) -> None:
        if not isinstance(bbox_head, list | tuple) or len(bbox_head) != len(stage_loss_weights) \
                or (train_cfg is not None and len(train_cfg) != len(bbox_head)):
            raise UserError(
                'CascadeMaskRoIHead: expected bbox_head, stage_loss_weights and train_cfg.rcnn as '
                'lists with one entry for each stage')
        score_weights = (
            (1.0,) * len(bbox_head) if stage_score_weights is None else stage_score_weights)
        if len(score_weights) != len(bbox_head) or min(score_weights) < 0 or not sum(score_weights):
            raise UserError(
                f'CascadeMaskRoIHead: stage_score_weights is {stage_score_weights!r}, expected a '
                f'list of {len(bbox_head)} numbers of at least 0, not all of them 0')
        if not all(head.get('reg_class_agnostic') for head in bbox_head):
            raise UserError('CascadeMaskRoIHead: bbox_head has a stage without '
                            'reg_class_agnostic=True, expected it in each')
        self.stage_loss_weights = tuple(stage_loss_weights)
        self.stage_score_weights = tuple(weight / sum(score_weights) for weight in score_weights)
        self.stage = len(bbox_head) - 1
        self._train_cfgs: list[Any] = list(train_cfg or [])
        super().__init__(*args, bbox_head=bbox_head,
                         train_cfg=self._train_cfgs[-1] if self._train_cfgs else None, **kwargs)

    @property
    def num_stages(self) -> int:
        """How many box heads there are."""
        return len(self.stage_loss_weights)

    @property
    def bbox_head(self) -> BBoxHead:
        """The box head of the stage that is being computed."""
        return self.bbox_heads[self.stage]

    def init_bbox_head(self, bbox_roi_extractor: ConfigType, bbox_head: Sequence[dict]) -> None:
        """Build one extractor for all stages and a head for each."""
        self.bbox_roi_extractor = MODELS.build(bbox_roi_extractor)
        self.bbox_heads = nn.ModuleList(MODELS.build(head) for head in bbox_head)

    def init_assigner_sampler(self) -> None:
        """Build the assigner and the sampler of each stage."""
        self.bbox_assigner = [TASK_UTILS.build(cfg.assigner) for cfg in self._train_cfgs]
        self.bbox_sampler = [TASK_UTILS.build(cfg.sampler, default_args=dict(context=self))
                             for cfg in self._train_cfgs]

    def loss(self, x: tuple[Tensor], rpn_results_list: InstanceList,
             batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Compute the losses of all stages.

        Args:
            x: feature maps of all levels, (B, C, h, w) each.
            rpn_results_list: proposals of each image, as ``bboxes`` (n, 4) xyxy.
            batch_data_samples: with ``gt_instances``.

        Returns:
            Losses by name, those of boxes with ``s0.``, ``s1.`` ... before it.
        """
        gt_instances, gt_ignored, metas = unpack_gt_instances(batch_data_samples)
        losses = {}
        proposals = rpn_results_list
        for stage, weight in enumerate(self.stage_loss_weights):
            self.stage = stage
            sampled = [self._sample(*each) for each in zip(
                proposals, gt_instances, gt_ignored, strict=True)]
            results = self._stage_loss(x, sampled, gt_instances)
            for name, value in results['loss_bbox'].items():
                losses[f's{stage}.{name}'] = value * weight if 'loss' in name else value
            if stage < self.num_stages - 1:
                with torch.no_grad():
                    refined = self.bbox_head.refine_bboxes(sampled, results, metas)
                if refined is None:  # no image has a proposal
                    break
                proposals = refined
        losses.update(self.mask_loss(x, sampled, results['bbox_feats'], gt_instances)['loss_mask'])
        return losses

    def _sample(self, proposals: Any, truth: Any, ignored: Any) -> SamplingResult:
        proposals.priors = proposals.pop('bboxes')
        assigned = self.bbox_assigner[self.stage].assign(proposals, truth, ignored)
        return self.bbox_sampler[self.stage].sample(assigned, proposals, truth)

    def _stage_loss(self, x: tuple[Tensor], sampled: list[SamplingResult],
                    truth: InstanceList) -> dict[str, Any]:
        rois = bbox2roi([each.priors for each in sampled])
        results = self._bbox_forward(x, rois)
        return results | dict(rois=rois) | weighted_bbox_loss(
            self.bbox_head, results, rois, sampled, truth, self._train_cfgs[self.stage])

    def predict_bbox(self, x: Any, batch_img_metas: list[dict], rpn_results_list: InstanceList,
                     rcnn_test_cfg: ConfigType, rescale: bool = False) -> InstanceList:
        """Refine proposals stage by stage.

        Args:
            x: feature maps of all levels, or the views of `FlipTTARoIHead`.
            batch_img_metas: one dict per image, with ``img_shape`` (h, w).
            rpn_results_list: proposals of each image, as ``bboxes`` (n, 4) xyxy.
            rcnn_test_cfg: ``test_cfg.rcnn`` of the model.
            rescale: give boxes in the original image.

        Returns:
            ``bboxes`` (m, 4), ``scores`` (m,) and ``labels`` (m,) of each image.
        """
        boxes = [proposals.bboxes for proposals in rpn_results_list]
        counts = [len(each) for each in boxes]
        self.stage = self.num_stages - 1
        if not sum(counts):
            return empty_instances(
                batch_img_metas, boxes[0].device, task_type='bbox',
                box_type=self.bbox_head.predict_box_type, num_classes=self.bbox_head.num_classes,
                score_per_cls=rcnn_test_cfg is None)
        probs = []
        for stage in range(self.num_stages):
            self.stage = stage
            rois = bbox2roi(boxes)
            results = self._bbox_forward(x, rois)
            probs.append(results['cls_score'].softmax(-1) * self.stage_score_weights[stage])
            deltas = results['bbox_pred'].split(counts)
            if stage < self.num_stages - 1:
                boxes = [self.bbox_head.bbox_coder.decode(
                    *each, max_shape=meta['img_shape'])
                    for *each, meta in zip(boxes, deltas, batch_img_metas, strict=True)]
        scores = torch.stack(probs).sum(0).clamp(min=TINY).log().split(counts)
        return self.bbox_head.predict_by_feat(
            rois=rois.split(counts), cls_scores=scores, bbox_preds=deltas,
            batch_img_metas=batch_img_metas, rcnn_test_cfg=rcnn_test_cfg, rescale=rescale)

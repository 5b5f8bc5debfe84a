"""A detector's way from pixels to cells in operators that ONNX has."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.ops import RoIAlign, nms, roi_align
from mmdet.models.dense_heads import RPNHead
from mmdet.models.detectors.two_stage import TwoStageDetector
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import Tensor, nn

from mmsart.models.roi_heads.cascade_mask_roi_head import CascadeMaskRoIHead
from mmsart.models.roi_heads.cropped_fcn_mask_head import CroppedFCNMaskHead, expected_iou
from mmsart.models.roi_heads.cropped_mask_roi_head import CroppedMaskRoIHead
from mmsart.models.roi_heads.flip_tta_roi_head import FlipTTARoIHead
from mmsart.utils import UserError

NMS_KEYS = {'type', 'iou_threshold', 'split_thr'}
"""Settings of NMS that ONNX has too, or that change nothing."""
ROI_HEADS = (StandardRoIHead, CroppedMaskRoIHead, FlipTTARoIHead, CascadeMaskRoIHead)


class ExportableDetector(nn.Module):
    """Mask R-CNN, or a cascade of box heads with one mask head, for one image at a time.

    Computes what the detector computes in a test of one view, whose size is that behind the test
    pipeline: the same networks, and proposals, NMS and RoIAlign once more, in operators of ONNX.

    Args:
        detector: a trained detector of mmdet, in evaluation mode on the CPU; used as it is.

    Raises:
        UserError: it has other parts than these.
    """

    def __init__(self, detector: Any) -> None:
        super().__init__()
        _check(detector)
        self.detector = detector
        head = detector.roi_head
        cascade = isinstance(head, CascadeMaskRoIHead)
        self.bbox_heads = list(head.bbox_heads) if cascade else [head.bbox_head]
        self.score_weights = head.stage_score_weights if cascade else (1.0,)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Find cells.

        Args:
            image: float32 (1, 3, h, w), RGB from 0 to 255.

        Returns:
            Of n detections before post-processing: ``boxes`` float32 (n, 4), xyxy in pixels of the
            image; ``scores`` float32 (n,), falling; ``labels`` int64 (n,); ``masks`` float32
            (n, 28, 28), foreground probabilities on the grids of their boxes.
        """
        height, width = image.shape[-2:]
        features = self.detector.extract_feat(self._prepare(image))
        limit = image.new_tensor([width, height, width, height])
        boxes, scores, labels = self._detect(features, self._propose(features, limit), limit)
        rcnn = self.detector.test_cfg.rcnn
        head = self.detector.roi_head
        logits = head.mask_head(_extract(head.mask_roi_extractor, features, boxes))
        if head.mask_head.class_agnostic:
            probs = logits[:, 0].sigmoid()
        else:
            size = logits.shape[-1]
            probs = logits.gather(
                1, labels[:, None, None, None].expand(-1, 1, size, size))[:, 0].sigmoid()
        if rcnn.get('score_by_mask_iou', False):
            thresholds = image.new_tensor(head.mask_head.read_thresholds(rcnn.mask_thr_binary))
            scores, order = (scores * expected_iou(probs, thresholds[labels])).sort(descending=True)
            boxes, labels, probs = boxes[order], labels[order], probs[order]
        return boxes, scores, labels, probs

    def _prepare(self, image: Tensor) -> Tensor:
        """Normalise and pad an RGB image as the data preprocessor does a pipeline's BGR one."""
        preprocessor = self.detector.data_preprocessor
        if not preprocessor._channel_conversion:  # the network takes BGR
            image = image[:, [2, 1, 0]]
        if preprocessor._enable_normalize:
            image = (image - preprocessor.mean) / preprocessor.std
        height, width = image.shape[-2:]
        divisor = preprocessor.pad_size_divisor
        return F.pad(image, (0, -width % divisor, 0, -height % divisor),
                     value=preprocessor.pad_value)

    def _propose(self, features: Sequence[Tensor], limit: Tensor) -> Tensor:
        """Return proposals, (n, 4) xyxy, the best first."""
        head, cfg = self.detector.rpn_head, self.detector.test_cfg.rpn
        levels = features[getattr(head, 'first_level', 0):]
        anchors = head.prior_generator.grid_priors(
            [level.shape[-2:] for level in levels], device=limit.device)
        found = []
        for scores, deltas, priors in zip(*head(levels), anchors, strict=True):
            scores = scores[0].permute(1, 2, 0).reshape(-1).sigmoid()
            deltas = deltas[0].permute(1, 2, 0).reshape(-1, 4)
            count = len(priors)
            if cfg.nms_pre > 0:
                count = min(cfg.nms_pre, count)
            scores, order = scores.topk(count)
            boxes = _clip(head.bbox_coder.decode(priors[order], deltas[order]), limit)
            if cfg.get('min_bbox_size', -1) >= 0:  # nothing is left of those in the padding
                large = (boxes[:, 2:] - boxes[:, :2] > cfg.min_bbox_size).all(1).nonzero()[:, 0]
                boxes, scores = boxes[large], scores[large]
            kept = _Nms.apply(boxes, scores, count, cfg.nms.iou_threshold, 0.0)
            found.append((boxes[kept], scores[kept]))
        boxes, scores = (torch.cat(parts) for parts in zip(*found, strict=True))
        return boxes[scores.sort(descending=True)[1][:cfg.max_per_img]]

    def _detect(self, features: Sequence[Tensor], boxes: Tensor,
                limit: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Refine and classify proposals; give boxes (n, 4), scores (n,) and labels (n,)."""
        extractor = self.detector.roi_head.bbox_roi_extractor
        probs = []
        for number, head in enumerate(self.bbox_heads):
            classes, deltas = head(_extract(extractor, features, boxes))
            probs.append(classes.softmax(-1) * self.score_weights[number])
            if number < len(self.bbox_heads) - 1:
                boxes = _clip(head.bbox_coder.decode(boxes, deltas), limit)
        scores = torch.stack(probs).sum(0)
        rcnn = self.detector.test_cfg.rcnn
        found = []
        for label in range(head.num_classes):
            own = deltas if head.reg_class_agnostic else deltas[:, 4 * label:4 * label + 4]
            refined = _clip(head.bbox_coder.decode(boxes, own), limit)
            kept = _Nms.apply(refined, scores[:, label], rcnn.max_per_img, rcnn.nms.iou_threshold,
                              rcnn.score_thr)
            found.append((refined[kept], scores[kept, label], torch.full_like(kept, label)))
        boxes, scores, labels = (torch.cat(parts) for parts in zip(*found, strict=True))
        scores, order = scores.sort(descending=True)
        order = order[:rcnn.max_per_img]
        return boxes[order], scores[:rcnn.max_per_img], labels[order]


def _check(detector: Any) -> None:
    _check_parts(detector)
    for name in ('rpn', 'rcnn'):
        nms_cfg = detector.test_cfg[name].nms
        if nms_cfg.get('type', 'nms') != 'nms' or not nms_cfg.keys() <= NMS_KEYS:
            raise UserError(
                f'model.test_cfg.{name}.nms: found {dict(nms_cfg)}, expected '
                "dict(type='nms', iou_threshold=...): ONNX has no other")
    if not detector.rpn_head.use_sigmoid_cls:
        raise UserError('model.rpn_head.loss_cls.use_sigmoid: found False, expected True')
    head = detector.roi_head
    for name, extractor in (('bbox_roi_extractor', head.bbox_roi_extractor),
                            ('mask_roi_extractor', head.mask_roi_extractor)):
        layer = extractor.roi_layers[0]
        if not isinstance(extractor, SingleRoIExtractor) or not isinstance(layer, RoIAlign) \
                or layer.pool_mode != 'avg':
            raise UserError(f'model.roi_head.{name}: found {type(extractor).__name__} of {layer}, '
                            'expected SingleRoIExtractor of RoIAlign with pool_mode avg')


def _check_parts(detector: Any) -> None:
    head = getattr(detector, 'roi_head', None)
    for name, right, found, expected in (
            ('model', isinstance(detector, TwoStageDetector), detector, 'a two-stage detector'),
            ('model.roi_head', type(head) in ROI_HEADS, head,
             ' or '.join(each.__name__ for each in ROI_HEADS)),
            ('model.roi_head.mask_head', isinstance(
                getattr(head, 'mask_head', None), CroppedFCNMaskHead),
             getattr(head, 'mask_head', None), 'CroppedFCNMaskHead'),
            ('model.rpn_head', isinstance(getattr(detector, 'rpn_head', None), RPNHead),
             getattr(detector, 'rpn_head', None), 'RPNHead')):
        if not right:
            raise UserError(f'{name}: found {type(found).__name__}, expected {expected}: others '
                            'cannot be written as ONNX')


def _clip(boxes: Tensor, limit: Tensor) -> Tensor:
    return torch.minimum(boxes.clamp(min=0), limit)


def _extract(extractor: Any, features: Sequence[Tensor], boxes: Tensor) -> Tensor:
    """Pool the features of boxes, each on the level of its size, as mmdet's extractors do."""
    rois = torch.cat([torch.zeros_like(boxes[:, :1]), boxes], dim=1)
    levels = extractor.map_roi_levels(rois, extractor.num_inputs)
    pooled, places = [], []
    for number, layer in enumerate(extractor.roi_layers):
        own = (levels == number).nonzero()[:, 0]
        pooled.append(_RoIAlign.apply(
            features[number], rois[own], *layer.output_size, layer.spatial_scale,
            layer.sampling_ratio, layer.aligned))
        places.append(own)
    return torch.cat(pooled)[torch.cat(places).sort()[1]]


class _Nms(torch.autograd.Function):
    """Non-maximum suppression of boxes of one class; gives the indices that stay, best first."""

    @staticmethod
    def forward(ctx: Any, boxes: Tensor, scores: Tensor, most: int, iou_threshold: float,
                score_threshold: float) -> Tensor:
        """Compute it as mmcv does."""
        _, kept = nms(boxes, scores, iou_threshold, score_threshold=score_threshold, max_num=most)
        return kept

    @staticmethod
    def symbolic(g: Any, boxes: Any, scores: Any, most: int, iou_threshold: float,
                 score_threshold: float) -> Any:
        """Write it as ONNX has it."""
        def constant(value: Any, dtype: torch.dtype) -> Any:
            return g.op('Constant', value_t=torch.tensor(value, dtype=dtype))
        axes = constant([0], torch.int64)
        chosen = g.op(
            'NonMaxSuppression', g.op('Unsqueeze', boxes, axes),
            g.op('Unsqueeze', scores, constant([0, 1], torch.int64)),
            constant([most], torch.int64), constant([iou_threshold], torch.float32),
            constant([score_threshold], torch.float32))
        return g.op('Gather', chosen, constant(2, torch.int64), axis_i=1)


class _RoIAlign(torch.autograd.Function):
    """RoIAlign with average pooling."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, rois: Tensor, height: int, width: int,
                spatial_scale: float, sampling_ratio: int, aligned: bool) -> Tensor:
        """Compute it as mmcv does."""
        return roi_align(
            features, rois, (height, width), spatial_scale, sampling_ratio, 'avg', aligned)

    @staticmethod
    def symbolic(g: Any, features: Any, rois: Any, height: int, width: int,
                 spatial_scale: float, sampling_ratio: int, aligned: bool) -> Any:
        """Write it as ONNX has it."""
        def columns(start: int, stop: int) -> Any:
            bounds = (g.op('Constant', value_t=torch.tensor([at])) for at in (start, stop, 1))
            return g.op('Slice', rois, *bounds)
        images = g.op('Cast', g.op(
            'Squeeze', columns(0, 1), g.op('Constant', value_t=torch.tensor([1]))), to_i=7)
        return g.op(
            'RoiAlign', features, columns(1, 5), images,
            coordinate_transformation_mode_s='half_pixel' if aligned else 'output_half_pixel',
            mode_s='avg', output_height_i=height, output_width_i=width,
            sampling_ratio_i=sampling_ratio, spatial_scale_f=spatial_scale)

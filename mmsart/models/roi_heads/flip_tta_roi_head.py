"""RoI head that averages what it sees in mirror images."""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from mmdet.registry import MODELS
from torch import Tensor

from mmsart.models.roi_heads.cropped_mask_roi_head import CroppedMaskRoIHead

# Keeps logarithms finite, where a probability is 0 in every mirror image.
TINY = 1e-12


@dataclass(frozen=True)
class FlippedView:
    """Feature maps of a batch that was flipped.

    Attributes:
        features: maps of all levels, (B, C, h, w) each.
        dims: the flipped dimensions: none, -1 (left and right), -2 (top and bottom) or both.
        size: height and width of the batch with its padding, in pixels.
    """

    features: tuple[Tensor, ...]
    dims: tuple[int, ...]
    size: tuple[int, int]

    def flip_rois(self, rois: Tensor) -> Tensor:
        """Find the places of ``rois``, (n, 5) of image index and x1, y1, x2, y2."""
        rois = rois.clone()
        for dim in self.dims:
            start, stop = (1, 3) if dim == -1 else (2, 4)
            rois[:, [start, stop]] = self.size[dim] - rois[:, [stop, start]]
        return rois

    def unflip_deltas(self, deltas: Tensor) -> Tensor:
        """Turn box deltas, (n, k * 4) of dx, dy, dw, dh, back: only the shifts change sign."""
        shifts = [-1 if dim in self.dims else 1 for dim in (-1, -2)]
        signs = deltas.new_tensor([*shifts, 1, 1])
        return (deltas.view(-1, 4) * signs).view_as(deltas)


@MODELS.register_module()
class FlipTTARoIHead(CroppedMaskRoIHead):
    """`CroppedMaskRoIHead` that also takes a list of :class:`FlippedView` for its feature maps.

    Class and mask probabilities are means over the views, and so are the box deltas, after their
    shifts are turned back. With plain feature maps it is `CroppedMaskRoIHead`.

    Raises:
        TypeError: views meet a box coder other than `DeltaXYWHBBoxCoder`.
    """

    def _bbox_forward(self, x: Sequence[Tensor] | Sequence[FlippedView], rois: Tensor) -> dict:
        if not _are_views(x):
            return super()._bbox_forward(x, rois)
        if not isinstance(self.bbox_head.bbox_coder, DeltaXYWHBBoxCoder):
            raise TypeError('flips are averaged for DeltaXYWHBBoxCoder only, found '
                            f'{type(self.bbox_head.bbox_coder).__name__}')
        outputs = [super(FlipTTARoIHead, self)._bbox_forward(view.features, view.flip_rois(rois))
                   for view in x]
        probs = _mean([output['cls_score'].softmax(-1) for output in outputs])
        deltas = _mean([view.unflip_deltas(output['bbox_pred'])
                        for view, output in zip(x, outputs, strict=True)])
        # mmdet applies the softmax itself, which turns logarithms of probabilities back.
        return {'cls_score': probs.clamp(min=TINY).log(), 'bbox_pred': deltas,
                'bbox_feats': outputs[0]['bbox_feats']}

    def _mask_forward(self, x: Sequence[Tensor] | Sequence[FlippedView], rois: Tensor | None = None,
                      pos_inds: Tensor | None = None, bbox_feats: Tensor | None = None) -> dict:
        if rois is None or not _are_views(x):
            return super()._mask_forward(x, rois, pos_inds, bbox_feats)
        probs = _mean([
            super(FlipTTARoIHead, self)._mask_forward(
                view.features, view.flip_rois(rois))['mask_preds'].sigmoid().flip(view.dims)
            for view in x])
        return {'mask_preds': probs.logit(eps=TINY)}


def _are_views(x: Sequence[Any]) -> TypeGuard[Sequence[FlippedView]]:
    return isinstance(x[0], FlippedView)


def _mean(tensors: list[Tensor]) -> Tensor:
    return torch.stack(tensors).mean(0)

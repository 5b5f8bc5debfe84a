"""RoIAlign over all levels at once, as weighted sums of rows of a table."""
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.registry import MODELS
from torch import Tensor

from mmsart.utils import UserError


@MODELS.register_module()
class BagRoIExtractor(SingleRoIExtractor):
    """`SingleRoIExtractor` with RoIAlign for the CPU: same levels, same features, less time.

    mmcv's RoIAlign has one thread on a CPU and weighs the neighbours of a sample anew for each
    channel. Here the maps of all levels are the rows of one table, a bin is a bag of rows with
    bilinear weights, and :func:`torch.nn.functional.embedding_bag` sums them: vectorised over the
    channels and on all threads, forwards and backwards. Gives what mmcv gives up to rounding
    (about 1e-4 for features of unit variance, from sums in another order); boxes get no gradient,
    as with mmcv.

    Unlike mmcv's, it reads channels_last maps right. It takes ``roi_layer`` of type 'RoIAlign',
    average pooling, ``aligned=True`` and a ``sampling_ratio`` above 0. See mmdet's
    `SingleRoIExtractor` for the arguments.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for layer in self.roi_layers:
            if type(layer).__name__ != 'RoIAlign' or layer.sampling_ratio < 1 \
                    or layer.pool_mode != 'avg' or not layer.aligned:
                raise UserError(
                    f'BagRoIExtractor: roi_layer is {layer}, expected RoIAlign with '
                    'sampling_ratio >= 1, pool_mode avg, aligned True')

    def forward(self, feats: tuple[Tensor, ...], rois: Tensor,
                roi_scale_factor: float | None = None) -> Tensor:
        """Pool the features of RoIs.

        Args:
            feats: maps of all levels, (B, C, h, w) each, finest first.
            rois: (N, 5): image index, x1, y1, x2, y2 in pixels of the network's input.
            roi_scale_factor: scale RoIs by this about their centres, after the choice of a level.

        Returns:
            (N, C, output height, output width), channels_last.
        """
        levels = self.map_roi_levels(rois, len(feats))
        if roi_scale_factor is not None:
            rois = self.roi_rescale(rois, roi_scale_factor)
        channels = feats[0].shape[1]
        table = torch.cat([feat.permute(0, 2, 3, 1).reshape(-1, channels) for feat in feats])
        shapes = rois.new_tensor([feat.shape[2:] for feat in feats], dtype=torch.long)
        rows = shapes.prod(dim=1)
        first = (rows * feats[0].shape[0]).cumsum(0) - rows * feats[0].shape[0]
        first_row = (first[levels] + rois[:, 0].long() * rows[levels])[:, None, None]
        scales = rois.new_tensor([layer.spatial_scale for layer in self.roi_layers])[levels]
        layer = self.roi_layers[0]
        height, width = layer.output_size
        ratio = layer.sampling_ratio
        y_low, y_high = rois[:, 2] * scales, rois[:, 4] * scales
        x_low, x_high = rois[:, 1] * scales, rois[:, 3] * scales
        y_at, y_weight = _neighbours(y_low, y_high, shapes[levels, 0], height, ratio)
        x_at, x_weight = _neighbours(x_low, x_high, shapes[levels, 1], width, ratio)
        y_row = first_row + y_at * shapes[levels, 1, None, None]
        bags = y_row[:, :, None, :, None] + x_at[:, None, :, None, :]
        weights = y_weight[:, :, None, :, None] * x_weight[:, None, :, None, :]
        pooled = F.embedding_bag(
            bags.reshape(-1, (2 * ratio) ** 2), table, mode='sum',
            per_sample_weights=weights.reshape(-1, (2 * ratio) ** 2).to(table.dtype))
        return pooled.view(len(rois), height, width, channels).permute(0, 3, 1, 2)


def _neighbours(low: Tensor, high: Tensor, size: Tensor, bins: int,
                ratio: int) -> tuple[Tensor, Tensor]:
    """Find the pixels and weights that give the bins of RoIs along one axis.

    As in mmcv's RoIAlign, aligned: pixel centres are at whole numbers, a RoI's bins hold ``ratio``
    evenly spread samples each, a sample more than one pixel off the map counts as 0.

    Args:
        low: where each RoI begins, in pixels of its map, (N,).
        high: where it ends, (N,).
        size: height or width of its map, int64 (N,).
        bins: bins of a RoI.
        ratio: samples of a bin.

    Returns:
        Indices, int64, and weights, which sum up to 1 in a bin inside the map; both
        (N, bins, 2 x ratio).
    """
    steps = (torch.arange(bins * ratio, dtype=low.dtype, device=low.device) + 0.5) / (bins * ratio)
    at = (low - 0.5)[:, None] + (high - low)[:, None] * steps
    last = (size - 1)[:, None]
    inside = (at >= -1) & (at <= size[:, None])
    at = at.clamp(min=0)
    below = torch.minimum(at.long(), last)
    share = torch.where(below < last, at - below, 0.0)
    indices = torch.stack([below, torch.minimum(below + 1, last)], dim=-1)
    weights = torch.stack([1 - share, share], dim=-1) * inside[..., None] / ratio
    shape = (len(low), bins, 2 * ratio)
    return indices.view(shape), weights.view(shape)

"""RoIAlign over all levels at once, as weighted sums of rows of a table."""
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.registry import MODELS
from torch import Tensor

from mmsart.ops.bilinear import bilinear_bags
from mmsart.utils import UserError


@MODELS.register_module()
class BagRoIExtractor(SingleRoIExtractor):
    """`SingleRoIExtractor` with RoIAlign for the CPU: same levels, same features, less time.

    mmcv's RoIAlign has one thread on a CPU and weighs the neighbours of a sample anew for each
    channel. Here the maps of all levels are the rows of one table, and bins are sums of its rows
    (:mod:`mmsart.ops.bilinear`). Gives what mmcv gives up to rounding; boxes get no gradient, as
    with mmcv.

    Unlike mmcv's, it reads channels_last maps right. It takes ``roi_layer`` of type 'RoIAlign',
    average pooling, ``aligned=True`` and a ``sampling_ratio`` above 0. On a GPU it leaves the work
    to mmcv's RoIAlign. See mmdet's `SingleRoIExtractor` for the arguments.
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
            (N, C, output height, output width); channels_last on a CPU.
        """
        if feats[0].device.type != 'cpu':
            ordered = tuple(feat.contiguous() for feat in feats)  # RoIAlign reads no other order
            return super().forward(ordered, rois, roi_scale_factor)
        levels = self.map_roi_levels(rois, len(feats))
        if roi_scale_factor is not None:
            rois = self.roi_rescale(rois, roi_scale_factor)
        channels = feats[0].shape[1]
        table = torch.cat([feat.permute(0, 2, 3, 1).reshape(-1, channels) for feat in feats])
        shapes = rois.new_tensor([feat.shape[2:] for feat in feats], dtype=torch.long)
        rows = shapes.prod(dim=1)
        first = (rows * feats[0].shape[0]).cumsum(0) - rows * feats[0].shape[0]
        first_rows = first[levels] + rois[:, 0].long() * rows[levels]
        scales = rois.new_tensor([layer.spatial_scale for layer in self.roi_layers])[levels]
        layer = self.roi_layers[0]
        corners = rois[:, 1:] * scales[:, None] - 0.5
        bags, weights = bilinear_bags(
            corners[:, :2], corners[:, 2:] - corners[:, :2], shapes[levels], first_rows,
            layer.output_size, (layer.sampling_ratio, layer.sampling_ratio))
        pooled = F.embedding_bag(bags, table, mode='sum',
                                 per_sample_weights=weights.to(table.dtype))
        pooled = pooled / layer.sampling_ratio**2
        return pooled.view(len(rois), *layer.output_size, channels).permute(0, 3, 1, 2)

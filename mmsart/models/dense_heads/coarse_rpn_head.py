"""Region proposals from the coarser maps of a pyramid."""
from typing import Any

import torch
from mmdet.models.dense_heads import RPNHead
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.utils import InstanceList
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

FIRST_SHARE = 2
"""Candidates that NMS looks at first, over the proposals that are wanted. On five dense images NMS
at an IoU of .75 kept seven of ten."""


@MODELS.register_module()
class CoarseRPNHead(RPNHead):
    """`RPNHead` that leaves the finest maps to the RoI heads.

    A map at stride 2 helps outlines, but has four times the anchors of the next; where two scales
    at stride 4 reach the cells as well (``tools/analysis_tools/anchor_recall.py`` tells), the
    proposals need not pay for it.

    Args:
        first_level: index of the finest map used. The anchor generator has a stride for each map
            from there on.
        **kwargs: see mmdet's `RPNHead`.
    """

    def __init__(self, first_level: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first_level = first_level

    def loss(self, x: tuple[Tensor, ...], batch_data_samples: SampleList) -> dict:
        """Compute the losses; ``x`` are the maps of all levels, (B, C, h, w) each."""
        return super().loss(x[self.first_level:], batch_data_samples)

    def loss_and_predict(
        self, x: tuple[Tensor, ...], batch_data_samples: SampleList, **kwargs: Any,
    ) -> tuple[dict, InstanceList]:
        """Compute the losses and the proposals of a batch from the maps of all levels."""
        return super().loss_and_predict(x[self.first_level:], batch_data_samples, **kwargs)

    def predict(
        self, x: tuple[Tensor, ...], batch_data_samples: SampleList, rescale: bool = False,
    ) -> InstanceList:
        """Compute the proposals of a batch from the maps of all levels."""
        return super().predict(x[self.first_level:], batch_data_samples, rescale)

    def _bbox_post_process(
        self, results: InstanceData, cfg: ConfigDict, rescale: bool = False,
        with_nms: bool = True, img_meta: dict | None = None,
    ) -> InstanceData:
        """Choose the proposals of an image; see `RPNHead`.

        NMS takes time with the square of the candidates, and those that score lower than the last
        proposal wanted change nothing above it. So the best are looked at first; the proposals are
        those of mmdet, equal scores in any order. On a GPU launches cost more than pairs, and
        mmdet's one NMS is the quickest.
        """
        count = FIRST_SHARE * cfg.max_per_img
        if (cfg.nms.get('type') != 'nms' or not 0 < count < len(results)
                or results.scores.device.type != 'cpu'):
            return super()._bbox_post_process(results, cfg, rescale, with_nms, img_meta)
        best = results.scores.topk(count)
        # batched_nms shifts levels by the greatest coordinate, which rounds: it has to be the same.
        furthest = results.bboxes.amax(1).argmax()
        some = results[torch.cat([best.indices, furthest[None]]).unique()]
        by_level = ConfigDict(cfg, nms=ConfigDict(cfg.nms, split_thr=1))
        found = super()._bbox_post_process(some, by_level, rescale, with_nms, img_meta)
        if len(found) == cfg.max_per_img and found.scores[-1] > best.values[-1]:
            return found
        return super()._bbox_post_process(results, cfg, rescale, with_nms, img_meta)

"""Region proposals from the coarser maps of a pyramid."""
from typing import Any

from mmdet.models.dense_heads import RPNHead
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.utils import InstanceList
from torch import Tensor


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

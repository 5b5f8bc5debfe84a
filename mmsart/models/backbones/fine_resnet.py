"""ResNet with a finer first stride."""
from typing import Any

from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS


@MODELS.register_module()
class FineResNet(ResNet):
    """mmdet's ResNet whose first convolution may keep the resolution.

    With ``stem_stride=1`` the stages have strides 2, 4, 8 and 16 instead of 4 to 32, at four times
    the cost, and take the same weights. Source: Theo Viel's solution of the Sartorius competition
    (11th place, 2021), which sets the stride of ``conv1`` to 1.

    Args:
        stem_stride: 1 or 2, stride of the first convolution.
        **kwargs: of :class:`mmdet.models.ResNet`, without ``deep_stem``.
    """

    def __init__(self, stem_stride: int = 1, **kwargs: Any) -> None:
        assert stem_stride in (1, 2), f'stem_stride is {stem_stride}, expected 1 or 2'
        super().__init__(**kwargs)
        self.conv1.stride = (stem_stride, stem_stride)

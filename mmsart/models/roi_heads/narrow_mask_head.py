"""Mask head whose last two layers are narrower than the rest."""
from typing import Any

from mmdet.registry import MODELS
from torch import nn

from mmsart.models.roi_heads.cropped_fcn_mask_head import CroppedFCNMaskHead


@MODELS.register_module()
class NarrowMaskHead(CroppedFCNMaskHead):
    """Mask head with its own width after upsampling, as torchvision's `MaskRCNNPredictor` has it.

    Args:
        predictor_channels: outputs of the transposed convolution and inputs of the last layer.
        **kwargs: see :class:`CroppedFCNMaskHead`; upsampling is always a transposed convolution.
    """

    def __init__(self, predictor_channels: int = 128, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        classes = 1 if self.class_agnostic else self.num_classes
        self.upsample = nn.ConvTranspose2d(
            self.conv_out_channels, predictor_channels, self.scale_factor, self.scale_factor)
        self.conv_logits = nn.Conv2d(predictor_channels, classes, 1)

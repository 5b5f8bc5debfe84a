"""Backbones: light ones for training without a GPU, and a finer ResNet."""
import mmsart.weights  # noqa: F401  gives their init_cfg the scheme package://
from mmsart.models.backbones.efficientnet_lite import EfficientNetLite
from mmsart.models.backbones.fine_resnet import FineResNet
from mmsart.models.backbones.mobilenet_v2 import LiteMobileNetV2

__all__ = ['EfficientNetLite', 'FineResNet', 'LiteMobileNetV2']

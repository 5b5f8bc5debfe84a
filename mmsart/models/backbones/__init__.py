"""Light backbones for training without a GPU."""
import mmsart.weights  # noqa: F401  gives their init_cfg the scheme package://
from mmsart.models.backbones.efficientnet_lite import EfficientNetLite0
from mmsart.models.backbones.mobilenet_v2 import LiteMobileNetV2

__all__ = ['EfficientNetLite0', 'LiteMobileNetV2']

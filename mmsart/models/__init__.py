"""Networks and parts that mmdet lacks."""
from mmsart.models.backbones import EfficientNetLite0, LiteMobileNetV2

__all__ = ['EfficientNetLite0', 'LiteMobileNetV2']

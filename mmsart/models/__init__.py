"""Networks and parts that mmdet lacks."""
from mmsart.models.backbones import EfficientNetLite0, LiteMobileNetV2
from mmsart.models.roi_heads import CroppedFCNMaskHead, CroppedMaskRoIHead
from mmsart.models.task_modules import DenseMaxIoUAssigner

__all__ = [
    'CroppedFCNMaskHead',
    'CroppedMaskRoIHead',
    'DenseMaxIoUAssigner',
    'EfficientNetLite0',
    'LiteMobileNetV2',
]

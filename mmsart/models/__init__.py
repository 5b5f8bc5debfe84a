"""Networks and parts that mmdet lacks."""
from mmsart.models.backbones import EfficientNetLite0, FineResNet, LiteMobileNetV2
from mmsart.models.roi_heads import CroppedFCNMaskHead, CroppedMaskRoIHead, NarrowMaskHead
from mmsart.models.task_modules import DenseMaxIoUAssigner, TorchvisionAnchorGenerator

__all__ = [
    'CroppedFCNMaskHead',
    'CroppedMaskRoIHead',
    'DenseMaxIoUAssigner',
    'EfficientNetLite0',
    'FineResNet',
    'LiteMobileNetV2',
    'NarrowMaskHead',
    'TorchvisionAnchorGenerator',
]

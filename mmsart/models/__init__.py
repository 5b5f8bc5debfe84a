"""Networks and parts that mmdet lacks."""
from mmsart.models.backbones import EfficientNetLite0, FineResNet, LiteMobileNetV2
from mmsart.models.dense_heads import CoarseRPNHead
from mmsart.models.detectors import FlipTTAMaskRCNN
from mmsart.models.roi_heads import (
    BagRoIExtractor,
    CroppedFCNMaskHead,
    CroppedMaskRoIHead,
    FlipTTARoIHead,
    NarrowMaskHead,
)
from mmsart.models.task_modules import DenseMaxIoUAssigner, TorchvisionAnchorGenerator

__all__ = [
    'BagRoIExtractor',
    'CoarseRPNHead',
    'CroppedFCNMaskHead',
    'CroppedMaskRoIHead',
    'DenseMaxIoUAssigner',
    'EfficientNetLite0',
    'FineResNet',
    'FlipTTAMaskRCNN',
    'FlipTTARoIHead',
    'LiteMobileNetV2',
    'NarrowMaskHead',
    'TorchvisionAnchorGenerator',
]

"""Networks and parts that mmdet lacks."""
from mmsart.models.backbones import EfficientNetLite, FineResNet, LiteMobileNetV2
from mmsart.models.dense_heads import (
    CoarseRPNHead,
    CroppedMask2FormerHead,
    CroppedRTMDetInsSepBNHead,
    CroppedSOLOV2Head,
)
from mmsart.models.detectors import (
    FlipTTAMaskRCNN,
    MaskEnsemble,
    MaskSoftTeacher,
    MaskTTA,
    TiledHTC,
)
from mmsart.models.roi_heads import (
    BagRoIExtractor,
    CascadeMaskRoIHead,
    CroppedCascadeRoIHead,
    CroppedCoarseMaskHead,
    CroppedDynamicMaskHead,
    CroppedFCNMaskHead,
    CroppedHTCMaskHead,
    CroppedHTCRoIHead,
    CroppedMaskPointHead,
    CroppedMaskRoIHead,
    CroppedMaskScoringRoIHead,
    CroppedPointRendRoIHead,
    FlipTTARoIHead,
    NarrowMaskHead,
    OneTypeRoIHead,
)
from mmsart.models.seg_heads import CroppedMaskFormerFusionHead
from mmsart.models.task_modules import DenseMaxIoUAssigner, TorchvisionAnchorGenerator

__all__ = [
    'BagRoIExtractor',
    'CascadeMaskRoIHead',
    'CoarseRPNHead',
    'CroppedCascadeRoIHead',
    'CroppedCoarseMaskHead',
    'CroppedDynamicMaskHead',
    'CroppedFCNMaskHead',
    'CroppedHTCMaskHead',
    'CroppedHTCRoIHead',
    'CroppedMask2FormerHead',
    'CroppedMaskFormerFusionHead',
    'CroppedMaskPointHead',
    'CroppedMaskRoIHead',
    'CroppedMaskScoringRoIHead',
    'CroppedPointRendRoIHead',
    'CroppedRTMDetInsSepBNHead',
    'CroppedSOLOV2Head',
    'DenseMaxIoUAssigner',
    'EfficientNetLite',
    'FineResNet',
    'FlipTTAMaskRCNN',
    'FlipTTARoIHead',
    'LiteMobileNetV2',
    'MaskEnsemble',
    'MaskSoftTeacher',
    'MaskTTA',
    'NarrowMaskHead',
    'OneTypeRoIHead',
    'TiledHTC',
    'TorchvisionAnchorGenerator',
]

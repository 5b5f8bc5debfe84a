"""Everything that registers itself with mmdet, by name, for `custom_imports` of the configs.

A class registers itself when its module is imported; what is not named here is not found by a
config. mmdet imports its own parts when it is asked for one; in configs that inherit ``mmsart::…``,
mmsart is asked instead, so what none of ours imports stands here too.
"""
import mmdet.engine
import mmdet.visualization  # noqa: F401

from mmsart.datasets.checked_coco import CheckedCocoDataset
from mmsart.datasets.sartorius import SartoriusDataset
from mmsart.datasets.synthetic.dataset import SyntheticDataset
from mmsart.datasets.transforms import (
    BoxesFromMasks,
    CroppedCopyPaste,
    CroppedRandomAffine,
    CroppedRandomErasing,
    LoadCachedImage,
    LoadCroppedAnnotations,
    RandomBrightnessContrast,
    RandomCellScale,
    RandomTranspose,
    RepairMasks,
)
from mmsart.engine.hooks import (
    AtomicCheckpointHook,
    CapReportHook,
    CellVisualizationHook,
    CpuTrainingHook,
    CurvesHook,
    FastInferenceHook,
    FiniteLossHook,
    RunScalarsHook,
    TrueBoxesHook,
    ValLossHook,
)
from mmsart.engine.runner import (
    GroupedOptimWrapperConstructor,
    SeededBatchSampler,
    SeededDataset,
    StagedRunner,
    StagedTrainLoop,
)
from mmsart.evaluation.metrics import (
    CellCounter,
    CroppedCocoMetric,
    PredictionWriter,
    SartoriusMetric,
    SubmissionWriter,
)
from mmsart.models import (
    BagRoIExtractor,
    CascadeMaskRoIHead,
    CoarseRPNHead,
    CroppedFCNMaskHead,
    CroppedMaskRoIHead,
    DenseMaxIoUAssigner,
    EfficientNetLite,
    FineResNet,
    FlipTTAMaskRCNN,
    FlipTTARoIHead,
    LiteMobileNetV2,
    NarrowMaskHead,
    TorchvisionAnchorGenerator,
)
from mmsart.weights import WeightsReportHook

__all__ = [
    'AtomicCheckpointHook',
    'BagRoIExtractor',
    'BoxesFromMasks',
    'CapReportHook',
    'CascadeMaskRoIHead',
    'CellCounter',
    'CellVisualizationHook',
    'CheckedCocoDataset',
    'CoarseRPNHead',
    'CpuTrainingHook',
    'CroppedCocoMetric',
    'CroppedCopyPaste',
    'CroppedFCNMaskHead',
    'CroppedMaskRoIHead',
    'CroppedRandomAffine',
    'CroppedRandomErasing',
    'CurvesHook',
    'DenseMaxIoUAssigner',
    'EfficientNetLite',
    'FastInferenceHook',
    'FineResNet',
    'FiniteLossHook',
    'FlipTTAMaskRCNN',
    'FlipTTARoIHead',
    'GroupedOptimWrapperConstructor',
    'LiteMobileNetV2',
    'LoadCachedImage',
    'LoadCroppedAnnotations',
    'NarrowMaskHead',
    'PredictionWriter',
    'RandomBrightnessContrast',
    'RandomCellScale',
    'RandomTranspose',
    'RepairMasks',
    'RunScalarsHook',
    'SartoriusDataset',
    'SartoriusMetric',
    'SeededBatchSampler',
    'SeededDataset',
    'StagedRunner',
    'StagedTrainLoop',
    'SubmissionWriter',
    'SyntheticDataset',
    'TorchvisionAnchorGenerator',
    'TrueBoxesHook',
    'ValLossHook',
    'WeightsReportHook',
]

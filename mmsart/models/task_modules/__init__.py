"""Anchors and their assignment to crowded ground truth."""
from mmsart.models.task_modules.dense_max_iou_assigner import DenseMaxIoUAssigner
from mmsart.models.task_modules.torchvision_anchor_generator import TorchvisionAnchorGenerator

__all__ = ['DenseMaxIoUAssigner', 'TorchvisionAnchorGenerator']

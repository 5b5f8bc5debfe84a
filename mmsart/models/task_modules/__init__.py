"""Assignment of anchors to crowded ground truth."""
from mmsart.models.task_modules.dense_max_iou_assigner import DenseMaxIoUAssigner

__all__ = ['DenseMaxIoUAssigner']

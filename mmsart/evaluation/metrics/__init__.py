"""Adapters from the competition mathematics to mmengine."""
from mmsart.evaluation.metrics.cropped_coco_metric import CroppedCocoMetric
from mmsart.evaluation.metrics.sartorius_metric import SartoriusMetric

__all__ = ['CroppedCocoMetric', 'SartoriusMetric']

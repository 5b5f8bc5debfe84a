"""Adapters from the competition mathematics to mmengine."""
from mmsart.evaluation.metrics.sartorius_metric import SartoriusMetric

__all__ = ['SartoriusMetric']

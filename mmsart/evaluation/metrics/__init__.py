"""Adapters from the competition mathematics to mmengine."""
from mmsart.evaluation.metrics.cell_counter import CellCounter
from mmsart.evaluation.metrics.cropped_coco_metric import CroppedCocoMetric
from mmsart.evaluation.metrics.livecell_metric import LIVECellMetric
from mmsart.evaluation.metrics.prediction_writer import PredictionWriter
from mmsart.evaluation.metrics.sartorius_metric import SartoriusMetric
from mmsart.evaluation.metrics.submission_writer import SubmissionWriter

__all__ = ['CellCounter', 'CroppedCocoMetric', 'LIVECellMetric', 'PredictionWriter',
           'SartoriusMetric', 'SubmissionWriter']

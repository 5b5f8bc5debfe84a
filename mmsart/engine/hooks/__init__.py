"""Hooks of the training."""
from mmsart.engine.hooks.atomic_checkpoint_hook import AtomicCheckpointHook
from mmsart.engine.hooks.cap_report_hook import CapReportHook
from mmsart.engine.hooks.cell_visualization_hook import CellVisualizationHook
from mmsart.engine.hooks.cpu_training_hook import CpuTrainingHook
from mmsart.engine.hooks.curves_hook import CurvesHook
from mmsart.engine.hooks.fast_inference_hook import FastInferenceHook
from mmsart.engine.hooks.finite_loss_hook import DivergenceError, FiniteLossHook
from mmsart.engine.hooks.run_scalars_hook import RunScalarsHook
from mmsart.engine.hooks.stage_hook import StageEMAHook, StageHook
from mmsart.engine.hooks.true_boxes_hook import TrueBoxesHook
from mmsart.engine.hooks.val_loss_hook import ValLossHook

__all__ = ['AtomicCheckpointHook', 'CapReportHook', 'CellVisualizationHook', 'CpuTrainingHook',
           'CurvesHook', 'DivergenceError', 'FastInferenceHook', 'FiniteLossHook', 'RunScalarsHook',
           'StageEMAHook', 'StageHook', 'TrueBoxesHook', 'ValLossHook']

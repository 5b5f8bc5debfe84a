"""Training loops and runner parts."""
from mmsart.engine.runner.checkpoint_files import find_resumable
from mmsart.engine.runner.grouped_constructor import GroupedOptimWrapperConstructor
from mmsart.engine.runner.seeded_data import SeededBatchSampler, SeededDataset
from mmsart.engine.runner.staged_loop import StagedTrainLoop
from mmsart.engine.runner.staged_runner import StagedRunner

__all__ = ['GroupedOptimWrapperConstructor', 'SeededBatchSampler', 'SeededDataset',
           'StagedRunner', 'StagedTrainLoop', 'find_resumable']

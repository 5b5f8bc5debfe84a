"""Validation and test with folded BatchNorm, as prediction has it."""
from collections.abc import Callable
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from mmsart.models.fast_inference import fold_for_inference
from mmsart.utils.bare_model import bare_model


@HOOKS.register_module()
class FastInferenceHook(Hook):
    """Fold the detector for the length of a validation or test; see `fold_for_inference`.

    From the first batch to the last: averaged weights are in place by then, and checkpoints are
    written after it.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self._undo: Callable[[], None] | None = None

    def before_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Fold before the first batch of a validation."""
        if batch_idx == 0:
            self._undo = fold_for_inference(bare_model(runner.model))

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                       outputs: Any = None) -> None:
        """Put everything back after the last batch of a validation."""
        if batch_idx == len(runner.val_dataloader) - 1:
            self.restore()

    def before_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Fold before the first batch of a test."""
        self.before_val_iter(runner, batch_idx)

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                        outputs: Any = None) -> None:
        """Put everything back after the last batch of a test."""
        if batch_idx == len(runner.test_dataloader) - 1:
            self.restore()

    def restore(self) -> None:
        """Put everything back, if it is not: also where a validation is broken off."""
        if self._undo is not None:
            self._undo()
            self._undo = None

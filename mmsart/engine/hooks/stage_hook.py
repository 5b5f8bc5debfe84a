"""Hooks that StagedTrainLoop registers for itself."""
from typing import Any

import torch
from mmengine.hooks import EarlyStoppingHook, EMAHook, Hook
from mmengine.registry import MODELS

from mmsart.engine.runner.resume_check import lr_scaling
from mmsart.utils.bare_model import bare_model


class StageHook(Hook):
    """Carry the position of a staged run into its checkpoints and back.

    Runs before all hooks but those of equal rank, for the stage must stand before an EMA model
    or an optimizer loads its state.
    """

    priority = 'HIGHEST'

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Add the stage and the position in it, and what the rest of the run depends on."""
        loop, meta = runner.train_loop, checkpoint['meta']
        epochs, iters = meta['epoch'] - loop.epoch, meta['iter'] - loop.iter
        checkpoint['stage_state'] = dict(
            stages=[stage.fingerprint() for stage in loop.stages],
            stage_index=loop.stage_index,
            stage_epoch=loop.stage_epoch + epochs,
            stage_iter=loop.stage_iter + iters,
            batch=0 if epochs else loop.batch + iters,
            epoch_length=len(loop.dataloader),
            validated_iter=loop.validated_iter,
            random_states=runner.random_states,
            seed=loop.batches.seed,
            threads=torch.get_num_threads(),
            lr_scaling=lr_scaling(runner.cfg),
        )
        checkpoint['early_stopping'] = [
            (hook.wait_count, hook.best_score) for hook in _early_stopping(runner)]
        wrapper = runner.optim_wrapper
        if getattr(wrapper, '_inner_count', 0) % getattr(wrapper, '_accumulative_counts', 1):
            model = bare_model(runner.model)
            checkpoint['gradients'] = {
                name: parameter.grad.cpu() for name, parameter in model.named_parameters()
                if parameter.grad is not None}

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Rebuild the stage of a run that is resumed."""
        if not runner._resume:
            return
        runner.train_loop.restore(checkpoint)
        saved = checkpoint.get('early_stopping', [])
        for hook, (wait_count, best_score) in zip(_early_stopping(runner), saved, strict=False):
            hook.wait_count, hook.best_score = wait_count, best_score


def _early_stopping(runner: Any) -> list[EarlyStoppingHook]:
    return [hook for hook in runner.hooks if isinstance(hook, EarlyStoppingHook)]


class StageEMAHook(EMAHook):
    """Average the weights in those stages that declare `ema`.

    A stage after one with an averaged model starts from the averages, which are what was
    validated and saved.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ema_model: Any = None

    def before_run(self, runner: Any) -> None:
        """Do nothing: the averaged model is made when a stage begins."""

    def before_train_stage(self, runner: Any) -> None:
        """Make the averaged model of the stage, or drop that of the stage before."""
        if self.ema_model is not None and runner.train_loop.stage_iter == 0:
            self._swap_ema_parameters()
        self.ema_model = None
        ema = runner.train_loop.stage.ema
        if ema is None:
            return
        self.src_model = bare_model(runner.model)
        self.ema_model = MODELS.build(dict(ema), default_args=dict(model=self.src_model))

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        """Update the averages."""
        if self.ema_model is not None:
            self.ema_model.update_parameters(self.src_model)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Save the averages as the model's weights, and the raw weights beside them."""
        if self.ema_model is not None:
            super().before_save_checkpoint(runner, checkpoint)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Resume both; weights given as `load_from` are simply those of the model."""
        if self.ema_model is not None and runner._resume:
            super().after_load_checkpoint(runner, checkpoint)

    def _swap_ema_parameters(self) -> None:
        if self.ema_model is not None:
            super()._swap_ema_parameters()

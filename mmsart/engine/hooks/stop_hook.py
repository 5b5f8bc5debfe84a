"""Hook that ends a training when it is asked to, with a checkpoint to go on from."""
import signal
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as torch_dist
from mmengine.dist import all_gather_object, get_backend, get_world_size, is_main_process
from mmengine.fileio import join_path
from mmengine.hooks import CheckpointHook, EMAHook, Hook
from mmengine.runner import BaseLoop, Runner

from mmsart.engine.hooks.fast_inference_hook import FastInferenceHook
from mmsart.engine.runner.checkpoint_files import INTERRUPTED, write_last_checkpoint
from mmsart.engine.runner.stop_request import StopRequest
from mmsart.utils import RunStopped

# Iterations of a validation between two questions to the other processes, which would otherwise
# wait for the slowest of them at every image.
VAL_INTERVAL = 4


class StopHook(Hook):
    """Look for a request to stop after each iteration; then write a checkpoint and end the run.

    All processes stop at the same iteration, whichever of them was asked. A validation that is
    broken off is repeated when the run goes on.

    Args:
        request: what notes the signals.
    """

    priority = 'LOWEST'  # what the other hooks have done belongs to the checkpoint

    def __init__(self, request: StopRequest) -> None:
        self.request = request
        self._group: Any = None
        self._val_iters = 0

    def before_train(self, runner: Runner) -> None:
        """From here on signals wait for the end of an iteration."""
        if get_world_size() > 1 and get_backend() != 'gloo':  # a flag is no work for a GPU
            self._group = torch_dist.new_group(backend='gloo')
        self.request.listen()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        """Stop after an iteration of the training."""
        if signum := self._asked():
            # The loop counts the iteration when the hooks are done.
            self._stop(runner, signum, runner.iter + 1)

    def before_val_epoch(self, runner: Runner) -> None:
        """Find out how many iterations all processes have."""
        if self._training(runner):
            self._val_iters = min(all_gather_object(len(runner.val_dataloader)))

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                       outputs: Sequence | None = None) -> None:
        """Stop within a validation."""
        if not self._training(runner):
            return
        if get_world_size() > 1 and (batch_idx % VAL_INTERVAL or batch_idx >= self._val_iters):
            return
        if signum := self._asked():
            for hook in runner.hooks:
                if isinstance(hook, FastInferenceHook):
                    hook.restore()
            for hook in runner.hooks:
                if isinstance(hook, EMAHook):  # the averages stand in for the weights
                    hook.after_val_epoch(runner)
            self._stop(runner, signum, runner.iter)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Stop after a validation."""
        if self._training(runner) and (signum := self._asked()):
            self._stop(runner, signum, runner.iter)

    @staticmethod
    def _training(runner: Runner) -> bool:
        return isinstance(runner._train_loop, BaseLoop)

    def _asked(self) -> int:
        """Return the signal that any process has got, or 0."""
        signum = self.request.signum or 0
        if get_world_size() == 1:
            return signum
        flag = torch.tensor(signum)
        torch_dist.all_reduce(flag, torch_dist.ReduceOp.MAX, group=self._group)
        return int(flag)

    def _stop(self, runner: Runner, signum: int, iteration: int) -> None:
        path = self._last_checkpoint(runner, iteration) or self._save(runner, iteration)
        runner.logger.info(f'checkpoint of the interrupted run: {path}')
        raise RunStopped(
            f'stopped by {signal.Signals(signum).name} in epoch {runner.epoch + 1} after '
            f'iteration {iteration}, as {path}; go on with --resume', signum)

    @staticmethod
    def _last_checkpoint(runner: Runner, iteration: int) -> str | None:
        """Return the checkpoint that has been written of this very iteration, if there is one."""
        return next((hook.last_ckpt for hook in runner.hooks
                     if getattr(hook, 'saved_iter', None) == iteration), None)

    @staticmethod
    def _save(runner: Runner, iteration: int) -> str:
        folder = next((hook.out_dir for hook in runner.hooks if isinstance(hook, CheckpointHook)),
                      runner.work_dir)
        runner.save_checkpoint(
            folder, INTERRUPTED, meta=dict(epoch=runner.epoch, iter=iteration), by_epoch=False)
        path = join_path(folder, INTERRUPTED)
        if is_main_process():
            write_last_checkpoint(runner.work_dir, path)
        return path

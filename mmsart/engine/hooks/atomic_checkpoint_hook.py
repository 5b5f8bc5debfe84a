"""Checkpoints that survive a kill at any moment."""
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import BaseLoop

from mmsart.engine.runner.checkpoint_files import INTERRUPTED, write_last_checkpoint
from mmsart.utils import UserError


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """Write a checkpoint, then the pointer to it, and only then remove older ones.

    The stock hook removes the oldest checkpoint before it writes the new one and overwrites
    ``last_checkpoint`` in place; a kill in between leaves nothing to resume from. Runs after all
    other hooks, so that what they have done belongs to the checkpoint. Takes the stock hook's
    arguments; needs :class:`StagedRunner`, which writes the file itself atomically.
    """

    priority = 'LOWEST'
    saved_iter: int | None = None  # iterations done when this run last wrote a checkpoint

    def after_val_epoch(self, runner: Any, metrics: dict) -> None:
        """Save the best checkpoint, and mark this validation as done; only while training."""
        loop = runner._train_loop
        if not isinstance(loop, BaseLoop):
            return
        if hasattr(loop, 'validated_iter'):
            loop.validated_iter = runner.iter
        super().after_val_epoch(runner, metrics)

    def _save_best_checkpoint(self, runner: Any, metrics: dict) -> None:
        for key in self.key_indicators if self.save_best else ():
            if key != 'auto' and key not in metrics:
                raise UserError(f'default_hooks.checkpoint.save_best: found {key}, expected one '
                                f'of the scores {", ".join(metrics)}')
        # The stock method removes a best checkpoint that it knows of before it writes the next.
        # It has one path, or a dict of them where several scores are watched.
        single = getattr(self, 'best_ckpt_path', None)
        several = getattr(self, 'best_ckpt_path_dict', {})
        self.best_ckpt_path, self.best_ckpt_path_dict = None, dict.fromkeys(several)
        super()._save_best_checkpoint(runner, metrics)
        self.best_ckpt_path = self.best_ckpt_path or single
        for key, path in several.items():
            self.best_ckpt_path_dict[key] = self.best_ckpt_path_dict[key] or path
        current = {self.best_ckpt_path, *self.best_ckpt_path_dict.values()}
        for path in {single, *several.values()} - current:
            if path and is_main_process() and self.file_backend.isfile(path):
                self.file_backend.remove(path)

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict) -> None:
        stale: list[int] = []
        if self.max_keep_ckpts > 0:
            keep = [number for number in self.keep_ckpt_ids if number != step] + [step]
            # The file of a run that is killed below lists the stale ones, too: before_train
            # removes what is over the limit.
            runner.message_hub.update_info('keep_ckpt_ids', keep)
            stale, keep = keep[:-self.max_keep_ckpts], keep[-self.max_keep_ckpts:]
            self.keep_ckpt_ids.clear()
            self.keep_ckpt_ids.extend(keep)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir, name, self.file_client_args, save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler, meta=meta, by_epoch=self.by_epoch,
            backend_args=self.backend_args, **self.args)
        self.saved_iter = meta['iter']
        if not is_main_process():
            return
        write_last_checkpoint(runner.work_dir, self.last_ckpt)
        for old in [*map(self.filename_tmpl.format, stale), INTERRUPTED]:
            path = self.file_backend.join_path(self.out_dir, old)
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)

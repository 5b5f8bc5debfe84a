"""A runner that resumes exactly and trains on several processes without a GPU."""
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.logging import MMLogger
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmsart.engine.console import tidy_console
from mmsart.engine.hooks.run_summary_hook import RunSummaryHook
from mmsart.engine.hooks.schedule_hook import ScheduleHook
from mmsart.engine.runner.checkpoint_files import find_resumable, publish
from mmsart.engine.runner.loader_workers import shelter_workers
from mmsart.engine.runner.longer_schedules import curves_of, lengthen
from mmsart.engine.runner.process_group import join_group
from mmsart.engine.runner.random_state import get_random_state
from mmsart.utils import as_user_error, missing
from mmsart.utils.quiet import quiet_children


@RUNNERS.register_module()
class StagedRunner(Runner):
    """Run a schedule in stages, or a plain one, with checkpoints written atomically.

    Config: ``runner_type='StagedRunner'``. Beyond mmengine's runner:

    - `optim_wrapper` may be left out when `train_cfg` declares stages;
    - ``resume='auto'`` goes on from the newest whole checkpoint of the work dir and, if there is
      none, starts from `load_from` as if it had not been asked to resume;
    - it does not go on with other settings of optimizer or schedulers than the checkpoint's; a
      longer run goes on as if it had been as long from the start;
    - a checkpoint appears under its name when it is complete and, of a run in stages, holds the
      random states of all processes;
    - the console shows what people read; all the rest goes to the log file alone;
    - without CUDA, processes talk by gloo whatever ``env_cfg.dist_cfg`` says.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        stages = (kwargs.get('train_cfg') or {}).get('stages')
        if stages and kwargs.get('optim_wrapper') is None:
            # mmengine wants one at once; the loop replaces it when the first stage begins.
            kwargs['optim_wrapper'] = stages[0].get('optim_wrapper')
        self.random_states: list[dict] = []
        self._resume: bool | str
        self._load_from: str | None
        super().__init__(*args, **kwargs)
        self.register_hook(ScheduleHook())
        self.register_hook(RunSummaryHook())
        # The work dir has the config in a layout for reading; laying it out again for each
        # checkpoint takes longer than all else in saving a small model.
        object.__setattr__(self.cfg, '_format_python_code', False)

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build the logger: what people read on the console, everything in the file."""
        logger = super().build_logger(*args, **kwargs)
        tidy_console(logger)
        return logger

    def setup_env(self, env_cfg: dict) -> None:
        """Set up processes and libraries; join the others by gloo where there is no CUDA."""
        join_group(self.launcher, env_cfg)
        super().setup_env(env_cfg)

    def _log_env(self, env_cfg: dict) -> None:
        """Log versions and settings, without the shell's complaint where there is no compiler."""
        with quiet_children():
            super()._log_env(env_cfg)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap the model for several processes; on the CPU without naming a device."""
        if torch.cuda.is_available() or not self.distributed or is_model_wrapper(model):
            return super().wrap_model(model_wrapper_cfg, model)
        options = dict(model_wrapper_cfg or {})
        options.pop('type', None)
        options.setdefault(
            'find_unused_parameters', self.cfg.get('find_unused_parameters', False))
        options.setdefault('broadcast_buffers', False)
        return MMDistributedDataParallel(module=model, **options)

    @staticmethod
    def build_dataloader(dataloader: Any, *args: Any, **kwargs: Any) -> DataLoader:
        """Build a data loader whose workers end when this process wants it."""
        loader = Runner.build_dataloader(dataloader, *args, **kwargs)
        shelter_workers(loader)
        return loader

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        """Build an optimizer and its wrapper.

        Raises:
            UserError: they cannot be built as configured.
        """
        with as_user_error('optim_wrapper'):
            return super().build_optim_wrapper(optim_wrapper)

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """Build schedulers.

        Raises:
            UserError: they cannot be built as configured.
        """
        with as_user_error('param_scheduler'):
            return super().build_param_scheduler(scheduler)

    def load_or_resume(self) -> None:
        """Load weights, or go on from the newest whole checkpoint."""
        if self._has_loaded or not self._resume:
            super().load_or_resume()
            return
        if self._resume == 'auto' or self._load_from is None:
            found = [find_resumable(self.work_dir, self.logger) if is_main_process() else None]
            broadcast_object_list(found)
            if found[0] is None:
                self.logger.warning(
                    f'resume: no checkpoint in {self.work_dir}, starting from the beginning')
                self._resume = False
            else:
                self.logger.info(f'resume: going on from {found[0]}')
                self._load_from = found[0]
        elif not Path(self._load_from).is_file():
            raise missing(self._load_from, 'a checkpoint to resume from')
        super().load_or_resume()

    def load_checkpoint(self, *args: Any, **kwargs: Any) -> dict:
        """Load a checkpoint as mmengine does."""
        checkpoint = super().load_checkpoint(*args, **kwargs)
        self.curves = curves_of(self.param_schedulers)
        return checkpoint

    def resume(self, *args: Any, **kwargs: Any) -> None:
        """Resume as mmengine does, with schedulers as long as the config's."""
        super().resume(*args, **kwargs)
        lengthen(self.param_schedulers, self.curves, self.logger)

    def save_checkpoint(self, out_dir: str, filename: str, *args: Any, **kwargs: Any) -> None:
        """Save a checkpoint atomically; all processes must call this.

        Args:
            out_dir: folder.
            filename: name of the file in it.
            *args: as in mmengine.
            **kwargs: as in mmengine.
        """
        outer = getattr(self._train_loop, 'outer_random_state', None)
        self.random_states = all_gather_object(outer or get_random_state())
        if not is_main_process():
            return
        if '://' in out_dir:  # object stores show whole objects only
            super().save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        temporary = Path(out_dir) / f'.{filename}.part'
        try:
            super().save_checkpoint(out_dir, temporary.name, *args, **kwargs)
            publish(temporary, Path(out_dir) / filename)
        finally:
            temporary.unlink(missing_ok=True)  # half of one, where the disk is full

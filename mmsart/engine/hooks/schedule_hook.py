"""Hook that keeps a run from resuming with other settings than its checkpoint's."""
from typing import Any

from mmengine.hooks import Hook

from mmsart.engine.runner.resume_check import check_resume, plain_schedule


class ScheduleHook(Hook):
    """Write the settings of a schedule into its checkpoints, and compare them when it resumes.

    :class:`StagedRunner` registers it. Runs first, before a stage is rebuilt.
    """

    priority = 'HIGHEST'

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Add the settings; a run in stages adds its stages by itself."""
        if not (runner.cfg.get('train_cfg') or {}).get('stages'):
            checkpoint['schedule'] = plain_schedule(runner.cfg)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Refuse a checkpoint with other settings.

        Raises:
            UserError: the checkpoint is of another schedule, or holds weights only.
        """
        if not runner._resume:
            return
        check_resume(checkpoint, runner.cfg)
        if 'schedule' not in checkpoint and 'stage_state' not in checkpoint:
            runner.logger.warning(
                'resume: the checkpoint does not say which settings it was made with; its '
                "optimizer and schedulers keep their own, whatever the config says")

"""Curves at the end of a training."""
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class CurvesHook(Hook):
    """Draw the curves of a run into its work dir, as ``curves.png`` and ``curves.svg``.

    A failure to draw is a warning in the log: no training ends badly for a picture.
    """

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Read the log that the run has written and draw it."""
        try:
            from mmsart.visualization.curves import write_curves  # matplotlib: only when needed
            from mmsart.visualization.run_logs import read_run

            paths = write_curves([read_run(runner.work_dir)], runner.work_dir)
        except Exception as error:
            runner.logger.warning(f'the curves could not be drawn: {error!r}')
        else:
            runner.logger.info(f'curves: {", ".join(map(str, paths))}')

"""Hook that reports which weights a training run starts from."""
import logging
from typing import Any

from mmdet.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmsart.utils.bare_model import bare_model
from mmsart.weights.loader import NOTHING, fetch_or_nothing, imported_weights
from mmsart.weights.matching import match_weights
from mmsart.weights.resolve import REMOTE


@HOOKS.register_module()
class WeightsReportHook(Hook):
    """Fit the weights of ``load_from`` to the model, and log in four lines what became of them.

    Class layers for another class count are made anew. Nothing that fits is an error. A run that
    resumes is left alone.
    """

    priority = 'VERY_HIGH'  # before an averaged model takes the weights over

    def before_run(self, runner: Runner) -> None:
        """Download what ``load_from`` names; if that is out of reach, start from scratch."""
        source = getattr(runner, '_load_from', None)
        if source and REMOTE.match(source) and not getattr(runner, '_resume', False):
            runner._load_from = fetch_or_nothing(source)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Replace what does not fit by the model's own values, so that mmengine finds no fault.

        Args:
            runner: its model receives the weights next.
            checkpoint: what was read; its ``state_dict`` is replaced.

        Raises:
            UserError: nothing fits.
        """
        if getattr(runner, '_resume', False):
            return
        model = bare_model(runner.model)
        own = model.state_dict()
        weights = imported_weights(checkpoint)
        if weights.source == NOTHING:
            checkpoint['state_dict'] = own
            return
        fitting, report = match_weights(
            {key: tuple(value.shape) for key, value in own.items()}, weights,
            str(getattr(runner, '_load_from', 'checkpoint')))
        for line, details in zip(report.lines(), report.lines(all_names=True), strict=True):
            runner.logger.info(f'weights: {line}')
            if line != details:
                runner.logger.log(logging.DEBUG, f'weights: {details}')
        checkpoint['state_dict'] = {**own, **fitting}

"""Hook that says in a few lines what is about to run."""
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from mmsart.engine.runner.checkpoint_files import find_checkpoint
from mmsart.utils import MissingFileError
from mmsart.utils.bare_model import bare_model


class RunSummaryHook(Hook):
    """Log data, model, schedule, and where the run writes. :class:`StagedRunner` registers it."""

    priority = 'VERY_HIGH'

    def before_run(self, runner: Any) -> None:
        """Log the lines; the loops and their data are built by now."""
        for line in summary(runner):
            runner.logger.info(line)

    def after_run(self, runner: Any) -> None:
        """Name the weights that a training leaves."""
        if not isinstance(runner._train_loop, BaseLoop):
            return
        with suppress(MissingFileError):
            runner.logger.info(f'trained: {find_checkpoint(runner.work_dir)}')


def summary(runner: Any) -> Iterator[str]:
    """Describe a run before it begins.

    Args:
        runner: with its loops built.

    Yields:
        One line for the data, the model, the schedule, and the files.
    """
    loops = {name: loop for name, loop in (
        ('training', runner._train_loop), ('validation', runner._val_loop),
        ('test', runner._test_loop)) if isinstance(loop, BaseLoop)}
    yield 'data: ' + '; '.join(
        f'{_count(len(loop.dataloader.dataset), "image")} for {name}'
        for name, loop in loops.items()) + _classes(next(iter(loops.values())))
    model = bare_model(runner.model)
    count = sum(parameter.numel() for parameter in model.parameters())
    yield f'model: {type(model).__name__}, {count:,} parameters, on {_device(model)}'
    if 'training' in loops:
        yield f'schedule: {_schedule(runner)}'
    yield f'files: {runner.work_dir}; log: {runner.logger.log_file}'


def _classes(loop: BaseLoop) -> str:
    classes = getattr(loop.dataloader.dataset, 'metainfo', {}).get('classes')
    return f'; classes: {", ".join(classes)}' if classes else ''


def _device(model: torch.nn.Module) -> str:
    device = next(model.parameters()).device
    if device.type == 'cuda':
        return f'{device} ({torch.cuda.get_device_name(device)})'
    return f'{device} ({_count(torch.get_num_threads(), "thread")})'


def _schedule(runner: Any) -> str:
    loop = runner.train_loop
    stages = getattr(loop, 'stages', None)
    if not stages:
        return f'{_count(runner.max_epochs, "epoch")}, {_count(runner.max_iters, "iteration")}'
    return ', then '.join(
        f'stage {stage.name} for ' + (
            _count(stage.max_epochs, 'epoch') if stage.by_epoch
            else _count(stage.max_iters, 'iteration')) for stage in stages)


def _count(number: int, noun: str) -> str:
    return f'{number:,} {noun}' + ('s' if number != 1 else '')

"""Stop a training whose numbers are no longer finite, before they reach the weights."""
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.dist import all_gather_object, all_reduce
from mmengine.hooks import CheckpointHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner, find_latest_checkpoint
from torch import Tensor, nn
from torch.optim import Optimizer

from mmsart.engine.part_lrs import part_lrs
from mmsart.utils import UserError
from mmsart.utils.bare_model import bare_model

ADVICE = ('try a lower lr or a longer warm-up, gradient clipping (optim_wrapper.clip_grad), '
          'training without AMP, and looking at the images named')
MOST_NAMES = 4  # of tensors, in a message


class DivergenceError(UserError):
    """A training has met a loss, gradient or weight that is not finite."""


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop the run at a loss, gradient or weight that is not finite.

    A loss is checked as the model returns it, before the backward pass; gradients are checked
    when the optimizer is about to step. So no NaN ever reaches a weight, and the last checkpoint
    stays good. With AMP, the scaler leaves out steps whose scaled gradients overflow; such a step
    never comes to the optimizer and is no reason to stop, a loss that is not finite is.
    Weights that overflow in a step are found before a checkpoint of them is written.

    The run ends with :class:`DivergenceError`, one line with iteration, image ids, loss terms,
    learning rates, the last checkpoint and what to try. All processes stop together.
    """

    # Ahead of the hooks that write checkpoints.
    priority = 'HIGH'

    def __init__(self) -> None:
        self._optimizer: Optimizer | None = None
        self._handles: list[Any] = []

    def before_train(self, runner: Runner) -> None:
        """Watch the losses of the model."""

        # A function, no method: EMA copies the model with its forward hooks, and a method would
        # take this hook and the runner along.
        def check(module: nn.Module, args: tuple, kwargs: dict, losses: Any) -> None:
            if torch.is_grad_enabled() and isinstance(losses, Mapping):
                _check_losses(runner, module, kwargs.get('data_samples') or [], losses)

        model = bare_model(runner.model)
        self._handles.append(model.register_forward_hook(check, with_kwargs=True))

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Watch the gradients of the optimizer; a new stage brings a new one."""
        optimizer = runner.optim_wrapper.optimizer
        if optimizer is self._optimizer:
            return

        def check(optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
            _check_gradients(runner, optimizer)

        self._handles.append(optimizer.register_step_pre_hook(check))
        self._optimizer = optimizer

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        """Check the weights where a checkpoint by iterations is due."""
        if any(isinstance(hook, CheckpointHook) and not hook.by_epoch
               and self.every_n_train_iters(runner, hook.interval) for hook in runner.hooks):
            self.after_train_epoch(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Check the weights, on each process: one that stops alone leaves others waiting."""
        broken = not_finite(bare_model(runner.model).state_dict())
        if _anywhere(bool(broken), _device(runner)):
            _stop(runner, f'weights are not finite: {_shortened(broken) or "on another process"}')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to write weights that are not finite."""
        broken = not_finite(checkpoint['state_dict'])
        if broken:
            _stop(runner, f'weights are not finite, not saved: {_shortened(broken)}')

    def after_train(self, runner: Runner) -> None:
        """Leave the model and the optimizer as they were."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._optimizer = None


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Name the tensors that hold an infinite value or a NaN."""
    return [name for name, tensor in tensors.items()
            if tensor.is_floating_point() and not torch.isfinite(tensor).all()]


@torch.no_grad()
def _check_losses(runner: Runner, module: Any, samples: list, losses: Mapping) -> None:
    total, terms = module.parse_losses(losses)
    bad = not bool(torch.isfinite(total))
    if not _anywhere(bad, total.device):
        return
    images = [str(sample.get('img_id', sample.get('img_path'))) for sample in samples]
    values = {name: float(value) for name, value in terms.items()}
    reports = [report for report in all_gather_object((images, values) if bad else None) if report]
    found = '; '.join(
        f'{", ".join(f"{name}={value:.4g}" for name, value in values.items())} '
        f'on images {", ".join(images) or "(not named)"}' for images, values in reports)
    _stop(runner, f'loss is not finite: {found}')


@torch.no_grad()
def _check_gradients(runner: Runner, optimizer: Optimizer) -> None:
    gradients = [parameter.grad for group in optimizer.param_groups
                 for parameter in group['params'] if parameter.grad is not None]
    # One number for all: the sum of the norms is finite where each of them is. In a distributed
    # training gradients are already averaged, so that all processes come to the same answer.
    if not gradients or bool(torch.isfinite(torch.stack(torch._foreach_norm(gradients)).sum())):
        return
    named = {name: parameter.grad for name, parameter in bare_model(runner.model).named_parameters()
             if parameter.grad is not None}
    broken = not_finite(named)
    what = _shortened(broken) if broken else 'their norm overflows'
    _stop(runner, f'gradients are not finite although the loss is: {what}')


def _stop(runner: Runner, problem: str) -> None:
    rates = part_lrs(bare_model(runner.model), runner.optim_wrapper.optimizer)
    checkpoint = find_latest_checkpoint(runner.work_dir)
    message = (
        f'iteration {runner.iter + 1} (epoch {runner.epoch + 1}): {problem}; '
        f'lr {", ".join(f"{part} {rate:.3g}" for part, rate in rates.items())}; '
        f'last good checkpoint: {checkpoint or "none yet"}; {ADVICE}')
    runner.logger.error(message)
    raise DivergenceError(message)


def _anywhere(bad: bool, device: torch.device) -> bool:
    flag = torch.tensor(float(bad), device=device)
    all_reduce(flag, 'max')
    return bool(flag)


def _device(runner: Runner) -> torch.device:
    return next(runner.model.parameters()).device


def _shortened(names: list[str]) -> str:
    more = f' and {len(names) - MOST_NAMES} more' if len(names) > MOST_NAMES else ''
    return ', '.join(names[:MOST_NAMES]) + more

"""Freezing and unfreezing of a model, robust against whoever calls ``model.train()``."""
import re
import types
from collections import Counter
from typing import TypeGuard

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from mmsart.engine.runner.stages import Stage
from mmsart.utils import UserError


def _train_in_eval_mode(self: nn.Module, mode: bool = True) -> nn.Module:
    """Stand in for ``train`` of a frozen normalisation layer."""
    return nn.Module.train(self, False)


def set_trainable(model: nn.Module, stage: Stage) -> list[str]:
    """Let only the parameters that the stage names learn.

    - The stage has the last word: `requires_grad` is set on each parameter, and a module's own
      `frozen_stages` is switched off where the stage lets some of that module learn, for
      ResNet.train() would freeze it again at each call. One exception: layers built with
      ``norm_cfg=dict(requires_grad=False)`` are fixed by the architecture (torchvision's frozen
      batch norm) and never learn.
    - A normalisation layer with running statistics none of whose parameters learns is held in
      evaluation mode, also through later calls of ``model.train()``.
    - Frozen parameters lose their gradient.

    Args:
        model: the bare model, not wrapped for several processes.
        stage: the stage that begins.

    Returns:
        Names of the parameters that learn.

    Raises:
        UserError: a pattern matches no parameter, nothing is left to learn, or the model's own
            ``train`` changes the choice.
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in [*stage.trainable, *stage.frozen]:
        if not any(re.match(pattern, name) for name in names):
            raise UserError(
                f'stage {stage.name}: the pattern {pattern!r} matches no parameter; expected the '
                f'beginning of a name, such as {_modules(names)}')
    fixed = _fixed_norms(model)
    learning = {name for name in names if stage.learns(name) and not name.startswith(fixed)}
    if not learning:
        raise UserError(f'stage {stage.name}: nothing learns with trainable={stage.trainable} '
                        f'and frozen={stage.frozen}')
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in learning)
        if name not in learning:
            parameter.grad = None
    for name, module in model.named_modules():
        prefix = f'{name}.' if name else ''
        own = [prefix + child for child, _ in module.named_parameters()]
        if getattr(module, 'frozen_stages', -1) >= 0 and not learning.isdisjoint(own):
            module.frozen_stages = -1  # type: ignore[assignment]
        if _has_statistics(module):
            # A layer without parameters goes by the name that its weight would have.
            learns = not learning.isdisjoint(own) if own else stage.learns(prefix + 'weight')
            _hold_statistics(module, hold=not learns)
    _check_lasting(model, stage, learning)
    return [name for name in names if name in learning]


def _fixed_norms(model: nn.Module) -> tuple[str, ...]:
    """Return the prefixes of normalisation layers that the architecture declares as fixed."""
    return tuple(
        f'{name}.{child}.' if name else f'{child}.' for name, module in model.named_modules()
        if (getattr(module, 'norm_cfg', None) or {}).get('requires_grad') is False
        for child, norm in module.named_modules() if child and isinstance(norm, _NormBase))


def _has_statistics(module: nn.Module) -> TypeGuard[_NormBase]:
    return isinstance(module, _NormBase) and module.running_mean is not None


def _hold_statistics(norm: nn.Module, hold: bool) -> None:
    """Fix a layer in evaluation mode, or release it; the mode itself then follows the model."""
    norm.__dict__.pop('train', None)
    if hold:
        norm.__dict__['train'] = types.MethodType(_train_in_eval_mode, norm)
        norm.eval()


def _check_lasting(model: nn.Module, stage: Stage, learning: set[str]) -> None:
    """Check that the model's own ``train`` leaves the stage's choice alone."""
    mode = model.training
    model.train()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad != (name in learning):
            raise UserError(
                f'stage {stage.name}: the model itself sets requires_grad='
                f'{parameter.requires_grad} on {name} in train(); switch that off in its config')
    model.train(mode)


def _modules(names: list[str]) -> list[str]:
    """First two parts of the names, each once, in order."""
    return list(dict.fromkeys('.'.join(name.split('.')[:-1][:2]) or name for name in names))


def sum_trainable(model: nn.Module, stage: Stage) -> str:
    """Summarize how much learns.

    Example:
        ``stage heads: 1,234 of 56,789 parameters learn, in roi_head.bbox_head, roi_head.mask_head``
    """
    learning = {name: parameter.numel() for name, parameter in model.named_parameters()
                if parameter.requires_grad}
    total = sum(parameter.numel() for parameter in model.parameters())
    parts = list(dict.fromkeys(name.split('.')[0] for name in learning))
    if parts == ['roi_head']:
        parts = _modules(list(learning))
    return (f'stage {stage.name}: {sum(learning.values()):,} of {total:,} parameters learn, in '
            f'{", ".join(parts) or "nothing"}')


def describe_trainable(model: nn.Module, stage: Stage) -> str:
    """Describe what learns and what does not: tensors and values, grouped by module.

    Example:
        ``stage heads: 8 of 60 tensors learn (1,234 of 56,789 values): roi_head.bbox_head 4 (987),
        ...; frozen: backbone 40 (50,000), ...; 20 of 22 running statistics held``
    """
    counts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    values: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for name, parameter in model.named_parameters():
        module = _modules([name])[0]
        counts[parameter.requires_grad][module] += 1
        values[parameter.requires_grad][module] += parameter.numel()

    def listing(learns: bool) -> str:
        return ', '.join(f'{module} {count} ({values[learns][module]:,})'
                         for module, count in counts[learns].items()) or 'nothing'

    norms = [module for module in model.modules() if _has_statistics(module)]
    held = sum('train' in norm.__dict__ for norm in norms)
    tensors, numbers = counts[True].total(), values[True].total()
    return (f'stage {stage.name}: {tensors} of {tensors + counts[False].total()} tensors learn '
            f'({numbers:,} of {numbers + values[False].total():,} values): {listing(True)}; '
            f'frozen: {listing(False)}; {held} of {len(norms)} running statistics held')

"""Learning rates by part of the model."""
from collections.abc import Iterable

from torch import nn
from torch.optim import Optimizer


def part_lrs(model: nn.Module, optimizer: Optimizer) -> dict[str, float]:
    """Return the learning rate of each top-level part of a model.

    An optimizer with multipliers by name holds one group a parameter, over a hundred here;
    the parts (``backbone``, ``neck``, ``rpn_head``, ``roi_head``) are what a schedule speaks of.

    Args:
        model: a model, not in a distributed wrapper.
        optimizer: its optimizer.

    Returns:
        ``{part: lr}`` in the model's order: 0 for a part of which nothing learns. Where rates
        differ within a part, those of its children stand instead, as ``part.child``.

    Example:
        >>> import torch
        >>> model = nn.ModuleDict(dict(backbone=nn.Linear(1, 1), head=nn.Linear(1, 1)))
        >>> part_lrs(model, torch.optim.SGD(model['head'].parameters(), lr=0.1))
        {'backbone': 0.0, 'head': 0.1}
    """
    rates = {id(parameter): float(group['lr'])
             for group in optimizer.param_groups for parameter in group['params']}
    named = {name: rates.get(id(parameter), 0.0) if parameter.requires_grad else 0.0
             for name, parameter in model.named_parameters()}
    result: dict[str, float] = {}
    for part in dict.fromkeys(name.split('.')[0] for name in named):
        inside = {name: rate for name, rate in named.items() if name.split('.')[0] == part}
        learning = set(inside.values()) - {0.0}
        if len(learning) <= 1:
            result[part] = max(learning, default=0.0)
            continue
        for child in dict.fromkeys('.'.join(name.split('.')[:2]) for name in inside):
            result[child] = max(_of_child(inside.items(), child))
    return result


def _of_child(rates: Iterable[tuple[str, float]], child: str) -> list[float]:
    return [rate for name, rate in rates if (name + '.').startswith(child + '.')]

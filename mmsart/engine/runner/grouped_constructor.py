"""Optimizer groups that a person can read."""
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.logging import MMLogger
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class GroupedOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Build one optimizer group for each set of settings, named after its custom key.

    The stock constructor makes a group of each parameter as soon as there is a `paramwise_cfg`,
    and takes frozen parameters along when there is none. Here frozen parameters always stay out,
    and parameters of equal settings share a group. The group without special settings is called
    ``default`` and comes first, so its learning rate is the one logged as ``lr``.

    Args:
        optim_wrapper_cfg: config of the wrapper, with `optimizer`.
        paramwise_cfg: as the stock constructor takes it; the longest custom key wins.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        paramwise = dict(paramwise_cfg or {})
        keys = paramwise.get('custom_keys', {})
        paramwise['custom_keys'] = {key: {'name': key, **cfg} for key, cfg in keys.items()}
        super().__init__(optim_wrapper_cfg, paramwise)

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = '',
                   is_dcn_module: int | float | None = None) -> None:
        """Add the groups of the model's parameters to `params`.

        Args:
            params: list of groups, changed in place.
            module: the model, or a part of it while recursing.
            prefix: name of that part; empty for the model.
            is_dcn_module: as in the stock constructor.
        """
        if prefix:
            super().add_params(params, module, prefix, is_dcn_module)
            return
        single: list[dict] = []
        with quiet_log():  # the stock method logs a line per parameter
            super().add_params(single, module, prefix, is_dcn_module)
        merged: dict[str, dict] = {}
        for group in single:
            tensors = group.pop('params')
            group.setdefault('name', 'default')
            merged.setdefault(repr(sorted(group.items())), {**group, 'params': []})
            merged[repr(sorted(group.items()))]['params'] += tensors
        groups = sorted(merged.values(), key=lambda group: group['name'] != 'default')
        taken: dict[str, int] = {}
        for group in groups:
            number = taken[group['name']] = taken.get(group['name'], 0) + 1
            if number > 1:
                group['name'] += f'_{number}'
        params.extend(groups)


@contextmanager
def quiet_log() -> Iterator[None]:
    """Drop the log lines of the block; mmengine's logger minds no global level."""
    logger = MMLogger.get_current_instance()
    disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = disabled

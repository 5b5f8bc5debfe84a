"""Checks of what a config says of a run beside its data and model."""
import copy
import inspect
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from mmdet.registry import (
    DATA_SAMPLERS,
    HOOKS,
    LOOPS,
    METRICS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    VISUALIZERS,
)
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import RUNNERS, Registry
from torch import nn
from torch.utils.data import DataLoader

from mmsart.apis.checks import check_section
from mmsart.apis.config import find_metrics
from mmsart.datasets.nested import is_wrapper, walk_datasets
from mmsart.engine.runner.grouped_constructor import quiet_log
from mmsart.engine.runner.stages import read_stages, wrapper_problem
from mmsart.utils import UserError, as_user_error, did_you_mean

LARGEST_SEED = 2**32 - 1  # of numpy
RANDOMNESS = ('seed', 'diff_rank_seed', 'deterministic')


def check_settings(cfg: Config) -> None:
    """Check what a training and a test have in common: hooks, seed, logs, environment.

    Args:
        cfg: the config.

    Raises:
        UserError: a part has another form, or names what there is not.
    """
    for name in ('env_cfg', 'randomness', 'default_hooks', 'visualizer'):
        by_default = name in ('default_hooks', 'visualizer') and cfg.get(name) is None
        if name in cfg and not by_default:
            check_section(cfg, name)
    level = cfg.get('log_level', 'INFO')
    if not isinstance(level, str) or not isinstance(logging.getLevelName(level), int):
        raise UserError(f'{cfg.filename}: log_level: found {level!r}, expected DEBUG, INFO, '
                        'WARNING, ERROR or CRITICAL')
    _check_randomness(cfg)
    _check_kind(cfg, 'runner_type', cfg.get('runner_type'), RUNNERS)
    _check_kind(cfg, 'visualizer', cfg.get('visualizer'), VISUALIZERS)
    for place, hook in _hooks(cfg):
        kind = _check_kind(cfg, place, hook, HOOKS)
        if kind is not None:
            _check_arguments(cfg, place, hook, kind)


def check_schedule(cfg: Config, model: nn.Module) -> None:
    """Check how long, how often, by which loader and optimizers a config trains.

    Args:
        cfg: the config.
        model: built from it; its optimizers are built once, and thrown away.

    Raises:
        UserError: a length, an interval or a stage is wrong, or an optimizer or a stage's transform
            cannot be built.
    """
    check_section(cfg, 'train_cfg')
    _check_loader(cfg, 'train_dataloader')
    _check_kind(cfg, 'train_cfg', cfg.train_cfg, LOOPS)
    for key in ('max_epochs', 'max_iters', 'val_interval'):
        value = cfg.train_cfg.get(key)
        if value is not None and (not isinstance(value, int) or value < 1):
            raise UserError(f'{cfg.filename}: train_cfg.{key}: found {value!r}, expected a whole '
                            'number >= 1')
    if 'stages' not in cfg.train_cfg:
        _check_optimizer(cfg, '', cfg, model)
        return
    try:
        stages = read_stages(cfg.train_cfg.stages)
    except UserError as error:
        raise UserError(f'{cfg.filename}: {error}') from error
    for number, stage in enumerate(stages):
        _check_optimizer(cfg, f'train_cfg.stages.{number}.', vars(stage), model)
        if stage.pipeline is not None:
            _check_pipeline(cfg, f'{cfg.filename}: train_cfg.stages.{number}.', stage.pipeline)


def check_evaluation(cfg: Config, name: str) -> None:
    """Check what is built when a validation or test begins: its loop, data loader and metrics.

    Args:
        cfg: the config.
        name: ``'val'`` or ``'test'``.

    Raises:
        UserError: a part is missing, has another form, or names what there is not.
    """
    check_section(cfg, f'{name}_cfg')
    _check_kind(cfg, f'{name}_cfg', cfg[f'{name}_cfg'], LOOPS)
    _check_loader(cfg, f'{name}_dataloader')
    check_section(cfg, f'{name}_evaluator', (Mapping, list))
    for metric in find_metrics(cfg, f'{name}_evaluator'):
        if 'metrics' not in metric:  # else it is an evaluator with metrics of its own
            kind = _check_kind(cfg, f'{name}_evaluator', metric, METRICS)
            if kind is not None:
                _check_arguments(cfg, f'{name}_evaluator', metric, kind)


def _check_loader(cfg: Config, name: str) -> None:
    """Check what of a data loader is built when its loop is."""
    loader = cfg.get(name) or {}
    known = {*inspect.signature(DataLoader).parameters, 'num_batch_per_epoch'}
    for key in loader:
        if key not in known:
            raise UserError(f'{cfg.filename}: {name}: found {key}, expected what a data loader of '
                            f'torch takes{did_you_mean(key, known)}')
    for key in ('sampler', 'batch_sampler'):
        _check_kind(cfg, f'{name}.{key}', loader.get(key), DATA_SAMPLERS)


def _check_randomness(cfg: Config) -> None:
    settings = cfg.get('randomness', {})
    for key in settings:
        if key not in RANDOMNESS:
            raise UserError(f'{cfg.filename}: randomness: found {key}, expected some of '
                            f'{", ".join(RANDOMNESS)}')
    seed = settings.get('seed')
    if seed is not None and (not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED):
        raise UserError(f'{cfg.filename}: randomness.seed: found {seed!r}, expected a whole number '
                        f'from 0 to {LARGEST_SEED}, or None')


def _hooks(cfg: Config) -> Iterator[tuple[str, Any]]:
    """Yield the hooks that a config names with their places; None stands for none."""
    for name, hook in (cfg.get('default_hooks') or {}).items():
        if hook is not None:
            yield f'default_hooks.{name}', hook
    hooks = cfg.get('custom_hooks') or []
    if not isinstance(hooks, list | tuple):
        raise UserError(f'{cfg.filename}: custom_hooks: found {hooks!r}, expected a list of dicts')
    for number, hook in enumerate(hooks):
        yield f'custom_hooks.{number}', hook


def _check_optimizer(cfg: Config, place: str, holder: Any, model: nn.Module) -> None:
    wrapper = holder.get('optim_wrapper')
    with as_user_error(f'{cfg.filename}: {place}optim_wrapper'):
        if not isinstance(wrapper, Mapping):
            raise UserError(f'{cfg.filename}: {place}optim_wrapper: found {wrapper!r}, expected a '
                            'dict')
        _check_kind(cfg, f'{place}optim_wrapper', {'type': 'OptimWrapper', **wrapper},
                    OPTIM_WRAPPERS)
        _check_kind(cfg, f'{place}optim_wrapper.optimizer', wrapper.get('optimizer'), OPTIMIZERS)
        with quiet_log():
            build_optim_wrapper(model, copy.deepcopy(wrapper))
    schedulers = holder.get('param_scheduler') or []
    for number, each in enumerate(
            schedulers if isinstance(schedulers, list | tuple) else [schedulers]):
        _check_kind(cfg, f'{place}param_scheduler.{number}', each, PARAM_SCHEDULERS)


def _check_pipeline(cfg: Config, place: str, pipeline: Any) -> None:
    """Check the transforms of a stage, which are built when it begins, hours later."""
    for dataset in walk_datasets(cfg.get('train_dataloader')):
        if is_wrapper(dataset) and 'pipeline' in dataset:
            raise UserError(place + wrapper_problem(dataset['type']))
    if not isinstance(pipeline, list | tuple):
        raise UserError(f'{place}pipeline: found {pipeline!r}, expected a list of transforms')
    for number, step in enumerate(pipeline):
        with as_user_error(f'{place}pipeline.{number}'):
            TRANSFORMS.build(copy.deepcopy(step))


def _check_kind(cfg: Config, place: str, part: Any, registry: Registry) -> Any:
    """Check that the type which a part of a config names is known; return it, None without one."""
    if isinstance(part, Mapping):
        place, part = f'{place}.type', part.get('type')
    if part is None or not isinstance(part, str):
        return part
    found = registry.get(part)
    if found is None:
        raise UserError(f'{cfg.filename}: {place}: found {part!r}, expected a name in the registry '
                        f'{registry.name}')
    return found


def _check_arguments(cfg: Config, place: str, part: Any, kind: Any) -> None:
    """Check that a class takes what a config gives it; of mmengine's own keys it sees nothing."""
    if not isinstance(part, Mapping):
        return
    given = {key: value for key, value in part.items()
             if key not in ('type', 'priority') and not key.startswith('_')}
    try:
        inspect.signature(kind).bind(**given)
    except TypeError as error:
        raise UserError(f'{cfg.filename}: {place}: {error}, expected what {kind.__name__} takes'
                        ) from error

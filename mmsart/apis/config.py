"""Reading a config file and overriding some of its keys."""
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

import mmsart.registry  # lets configs name those of the package
from mmsart.apis.lazy_config import is_lazy, with_names
from mmsart.apis.options import (
    files_overridden,
    get_value,
    guess_key,
    has_key,
    parse_value,
    replaced,
    split_option,
)
from mmsart.utils import UserError, as_user_error, did_you_mean, missing

CONFIGS = Path(mmsart.__file__).parent / '.mim' / 'configs'
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
RUN_KEYS = frozenset((
    *LOADERS, 'activation_checkpointing', 'auto_scale_lr', 'compile', 'custom_hooks',
    'custom_imports', 'data_preprocessor', 'default_hooks', 'default_scope',
    'efficient_conv_bn_eval', 'env_cfg', 'experiment_name', 'find_unused_parameters', 'load_from',
    'log_level', 'log_processor', 'model', 'model_wrapper_cfg', 'optim_wrapper',
    'param_scheduler', 'randomness', 'resume', 'runner_type', 'sync_bn', 'test_cfg',
    'test_evaluator', 'tiles', 'train_cfg', 'val_cfg', 'val_evaluator', 'val_loss_pipeline',
    'visualizer', 'work_dir'))
"""What a run reads of a config; everything else there is a variable for use in these."""
STAGE_KEYS = ('optim_wrapper', 'param_scheduler')
"""What each stage of a training in stages has of its own."""
OLD_KEYS = ('data', 'optimizer', 'optimizer_config', 'lr_config', 'evaluation',
            'checkpoint_config', 'log_config')
"""What mmdet 2.x wrote in their place."""


def load_config(path: str, options: Sequence[str] = (), work_dir: str | None = None) -> Config:
    """Read a config file and override some of its keys; nothing else is touched.

    An option acts as if the file said so: it reaches every place where the file, or one that
    builds on it, uses that name. What overrides ``val_dataloader`` or ``val_evaluator`` overrides
    their test counterparts too, unless those are named themselves. The config keeps the overrides
    as ``cfg_options``.

    Args:
        path: the config file; ``mmsart::NAME`` is one of the package's own.
        options: ``KEY=VALUE`` strings; of two for one key, the last counts.
        work_dir: folder of the run; by default the config's, else ``work_dirs/<name of config>``.

    Returns:
        The config.

    Raises:
        MissingFileError: there is no such file.
        UserError: the file or an option cannot be understood, or an option would change nothing.
    """
    path = _find(path)
    _check_bases(path)
    plain = _read(path, {})
    old = [key for key in OLD_KEYS if key in plain]
    if len(old) > 1 and not any(name in plain for name in LOADERS):
        raise UserError(f'{path}: looks like a config of mmdet 2.x (found {", ".join(old)}), '
                        'expected one of mmdet 3.x (train_dataloader, optim_wrapper, ...)')
    overrides = _read_options(path, plain, options)
    cfg = _overridden(path, plain, overrides)
    _check_effects(path, plain, cfg, overrides)
    for key in overrides:
        if not has_key(plain, key) and key not in RUN_KEYS:
            warnings.warn(f'--cfg-options: {key} is new, {path} has no such key'
                          f'{guess_key(plain, key)}', stacklevel=2)
    for name in LOADERS:
        loader = cfg.get(name)
        if isinstance(loader, dict) and loader.get('num_workers') == 0:
            loader['persistent_workers'] = False  # torch refuses to keep none
    cfg.cfg_options = overrides
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(Path('work_dirs') / Path(path).stem)
    return cfg


def _find(path: str) -> str:
    """Return the file that a path or ``mmsart::NAME`` stands for."""
    package, separator, name = str(path).rpartition('::')
    if separator and package == 'mmsart':
        found = CONFIGS / name
        expected = 'the path of a config in ' + str(CONFIGS)
    else:
        found, expected = Path(path), 'a config'
    if not found.is_file():
        raise missing(path, expected)
    return str(found)


def find_metric(cfg: Config, name: str) -> Any | None:
    """Return the config of the competition's metric among a config's evaluators.

    Args:
        cfg: the config.
        name: ``'val_evaluator'`` or ``'test_evaluator'``.

    Returns:
        The part of `cfg` itself, or None if there is no SartoriusMetric.
    """
    return next((metric for metric in find_metrics(cfg, name)
                 if metric.get('type') == 'SartoriusMetric'), None)


def find_metrics(cfg: Config, name: str) -> list[Any]:
    """Return the configs of all metrics of an evaluator.

    Args:
        cfg: the config.
        name: ``'val_evaluator'`` or ``'test_evaluator'``.

    Returns:
        Parts of `cfg` itself; empty if there is no such evaluator.
    """
    metrics = cfg.get(name) or []
    return [metric for metric in (metrics if isinstance(metrics, list) else [metrics])
            if isinstance(metric, Mapping)]


def _check_bases(path: str, above: tuple[str, ...] = ()) -> None:
    """Refuse a config that builds on itself: mmengine would read it until Python gives up."""
    place = os.path.realpath(path)
    if place in above:
        raise UserError(f'{path}: found it among its own _base_, expected files that do not build '
                        'on each other in a circle')
    try:
        bases = Config._get_base_files(path)
    except Exception:  # whatever it is, to read the file says it
        return
    for base in bases:
        if isinstance(base, str) and '::' not in base:  # files of packages build on none of ours
            _check_bases(os.path.join(os.path.dirname(path), base), (*above, place))


def _read(path: str, overrides: Mapping[str, Any]) -> Config:
    with as_user_error(path), files_overridden(overrides):  # whatever a config's code can raise
        cfg = Config.fromfile(path)
        return with_names(cfg) if is_lazy(cfg) else cfg


def _read_options(path: str, plain: Config, options: Sequence[str]) -> dict[str, Any]:
    """Return the values of options by key, outer keys before the inner ones that refine them."""
    overrides = {}
    for option in options:
        key, text = split_option(option)
        name = key.split('.')[0]
        if name == 'launcher':
            raise UserError(f'--cfg-options: found {option}, expected --launcher')
        if name not in plain and name not in RUN_KEYS:
            raise UserError(f'--cfg-options: found {key}, expected a key that {path} has'
                            f'{did_you_mean(name, {*plain, *RUN_KEYS})}')
        current = get_value(plain, key) if has_key(plain, key) else None
        try:
            overrides[key] = parse_value(text, current)
        except ValueError as error:
            raise UserError(f'--cfg-options: {option}: {error}; expected a value such as 3, word, '
                            '[1,2], [a,b] or {"a":1}') from error
    return dict(sorted(overrides.items(), key=lambda item: (
        item[0].count('.'), not item[0].endswith('split.type'))))


def _overridden(path: str, plain: Config, overrides: Mapping[str, Any]) -> Config:
    """Read a config as if it said what the overrides say."""
    if not overrides:
        return plain
    twins = {'test' + key[3:]: value for key, value in overrides.items()
             if key.startswith(('val_dataloader.', 'val_evaluator.'))}
    everything = {**twins, **overrides}
    cfg = _read(path, everything)
    for key, value in everything.items():
        name, *inner = key.split('.')
        try:
            cfg[name] = replaced(cfg.get(name, {}), inner, value)
        except (TypeError, IndexError) as error:
            raise UserError(f'--cfg-options: {key}={value!r} does not fit {path} ({error}), '
                            'expected a key that it has') from error
    for name in {key.split('.')[0] for key in overrides} - RUN_KEYS:
        # A config that a run has written out holds copies in place of names.
        _replace_copies({key: cfg[key] for key in cfg if key in RUN_KEYS}, name, plain[name],
                        cfg[name])
    return cfg


def _replace_copies(node: Any, name: str, old: Any, new: Any) -> None:
    """Replace every value under a name that equals the old value of the variable."""
    children = node.items() if isinstance(node, dict) else enumerate(node)
    for key, child in children:
        if key == name and child == old:
            node[key] = new
        elif isinstance(child, dict | list):
            _replace_copies(child, name, old, new)


def _check_effects(path: str, plain: Config, cfg: Config, overrides: Mapping[str, Any]) -> None:
    """Refuse an option for a variable on which nothing in a run depends."""
    schedule = cfg.get('train_cfg')
    in_stages = isinstance(schedule, Mapping) and bool(schedule.get('stages'))
    for key, value in overrides.items():
        name = key.split('.')[0]
        if in_stages and name in STAGE_KEYS:
            raise UserError(f'--cfg-options: {key} has no effect on a run of {path} in stages, '
                            f'expected train_cfg.stages.0.{key}, and so on for each stage')
        if name in RUN_KEYS or (has_key(plain, key) and get_value(plain, key) == value):
            continue
        others = {other: item for other, item in overrides.items() if other != key}
        without = _overridden(path, plain, others)
        if any(cfg.get(part) != without.get(part) for part in RUN_KEYS):
            continue
        places = [place for part in sorted(RUN_KEYS)
                  for place in _places_of(cfg.get(part), name, part)]
        hint = f', such as {places[0]}{key[len(name):]}' if places else ''
        raise UserError(f'--cfg-options: {key} has no effect on a run of {path}, '
                        f'expected the full key{hint}')


def _places_of(node: Any, name: str, place: str) -> Iterator[str]:
    """List the full keys in a part of a config that end in a name."""
    children: Any = (node.items() if isinstance(node, Mapping)
                     else enumerate(node) if isinstance(node, list | tuple) else ())
    for key, child in children:
        if key == name:
            yield f'{place}.{key}'
        yield from _places_of(child, name, f'{place}.{key}')

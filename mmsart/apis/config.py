"""Reading a config file and overriding some of its keys."""
import argparse
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from mmsart.utils import MissingFileError, UserError, as_user_error

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
POSTPROCESS_KEY = re.compile(r'(val|test)_evaluator\.(\d+\.)?postprocess\b\.?')


def load_config(path: str, options: Sequence[str] = (), work_dir: str | None = None) -> Config:
    """Read a config file and override some of its keys; nothing else is touched.

    What overrides ``val_dataloader`` or ``val_evaluator`` overrides their test counterparts too,
    unless those are named themselves, and ``data_root`` reaches every dataset. The config keeps
    the overrides as ``cfg_options``.

    Args:
        path: the config file.
        options: ``KEY=VALUE`` strings.
        work_dir: folder of the run; by default the config's, else ``work_dirs/<name of config>``.

    Returns:
        The config.

    Raises:
        MissingFileError: there is no such file.
        UserError: the file or an option cannot be understood.
    """
    if not Path(path).is_file():
        raise MissingFileError(f'{path}: no such file, expected a config')
    overrides = _parse_options(options)
    with as_user_error(path):  # whatever the Python code of a config can raise
        cfg = Config.fromfile(path)
    for key, value in _with_test_twins(overrides).items():
        if key.split('.')[0] not in cfg:
            raise UserError(f'--cfg-options: found {key}, expected a key that {path} has')
        if not _has_key(cfg, key):
            warnings.warn(
                f'--cfg-options: {key} is new, {path} has no such key', stacklevel=2)
        try:
            cfg.merge_from_dict({key: value})
        except (KeyError, TypeError, IndexError, AssertionError, ValueError) as error:
            raise UserError(f'--cfg-options: {key}={value!r} does not fit {path}, expected a key '
                            'that it has, with a value of its kind') from error
    if 'data_root' in overrides:
        for name in LOADERS:
            for dataset in find_datasets(cfg.get(name)):
                dataset.data_root = str(overrides['data_root'])
    for name in LOADERS:
        loader = cfg.get(name)
        if isinstance(loader, dict) and loader.get('num_workers') == 0:
            loader['persistent_workers'] = False  # torch refuses to keep none
    cfg.cfg_options = overrides
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(Path('work_dirs') / Path(path).stem)
    return cfg


def find_datasets(node: Any) -> Iterator[Any]:
    """Walk through a data loader's config, yielding data sets that have a root.

    Args:
        node: the config of a data loader, or a part of one.
    """
    if isinstance(node, dict):
        if 'data_root' in node:
            yield node
        for value in node.values():
            yield from find_datasets(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from find_datasets(value)


def find_metric(cfg: Config, name: str) -> Any | None:
    """Give the config of the competition's metric among a config's evaluators.

    Args:
        cfg: the config.
        name: ``'val_evaluator'`` or ``'test_evaluator'``.

    Returns:
        The part of `cfg` itself, or None if there is no SartoriusMetric.
    """
    evaluators = cfg.get(name) or []
    for evaluator in evaluators if isinstance(evaluators, list) else [evaluators]:
        if isinstance(evaluator, Mapping) and evaluator.get('type') == 'SartoriusMetric':
            return evaluator
    return None


def _parse_options(options: Sequence[str]) -> dict[str, Any]:
    for option in options:
        if '=' not in option:
            raise UserError(f'--cfg-options: found {option!r}, expected KEY=VALUE')
        try:
            DictAction._parse_iterable(option.split('=', 1)[1])
        except AssertionError as error:
            raise UserError(f'--cfg-options: {option}: brackets do not match, expected a list or '
                            'tuple such as [1,2]') from error
    parser = argparse.ArgumentParser()
    parser.add_argument('--options', nargs='+', action=DictAction, default={})
    return parser.parse_args(['--options', *options]).options if options else {}


def _has_key(cfg: Config, key: str) -> bool:
    """Tell whether a config has a dotted key; numbers index lists."""
    node: Any = cfg
    for name in key.split('.'):
        if isinstance(node, list | tuple):
            if not name.isdigit() or int(name) >= len(node):
                return False
            node = node[int(name)]
        elif isinstance(node, Mapping | Config) and name in node:
            node = node[name]
        else:
            return False
    return True


def _with_test_twins(overrides: dict[str, Any]) -> dict[str, Any]:
    """Add the test counterparts of what overrides validation."""
    twins = {'test' + key[3:]: value for key, value in overrides.items()
             if key.startswith(('val_dataloader.', 'val_evaluator.'))}
    return {**twins, **overrides}

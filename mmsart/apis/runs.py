"""Training and testing runs from a config: what tools/train.py and tools/test.py do."""
import argparse
import copy
import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmdet.registry import DATASETS, TRANSFORMS
from mmengine.config import Config, DictAction
from mmengine.logging import print_log
from mmengine.registry import RUNNERS, init_default_scope
from mmengine.runner import Runner

from mmsart.engine.runner.checkpoint_files import find_resumable
from mmsart.postprocessing import load_postprocess
from mmsart.utils import MissingFileError, UserError, atomic_write, check_target, check_writable
from mmsart.weights import check_class_count, model_shapes, prepare_load_from, read_checkpoint

POSTPROCESS_FILE = 'postprocess.json'
RANKS = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID', 'mpi': 'OMPI_COMM_WORLD_RANK'}
POSTPROCESS_KEY = re.compile(r'(val|test)_evaluator\.(\d+\.)?postprocess\b')


def load_config(path: str, options: Sequence[str] = (), work_dir: str | None = None,
                launcher: str = 'none', local_rank: int = 0) -> Config:
    """Read a config file and override some of its keys.

    What overrides ``val_dataloader`` or ``val_evaluator`` overrides their test counterparts too,
    unless those are named themselves, and ``data_root`` reaches every dataset.

    Args:
        path: the config file.
        options: ``KEY=VALUE`` strings.
        work_dir: folder of the run; by default the config's, else ``work_dirs/<name of config>``.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
        local_rank: of this process, unless the environment has LOCAL_RANK.

    Returns:
        The config.

    Raises:
        MissingFileError: there is no such file.
        UserError: the file or an option cannot be understood.
    """
    if not Path(path).is_file():
        raise MissingFileError(f'{path}: no such file, expected a config')
    overrides = _parse_options(options)
    with _as_user_error(path):  # whatever the Python code of a config can raise
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
    # What somebody says on the command line comes before a file beside the checkpoint.
    cfg.postprocess_overridden = any(POSTPROCESS_KEY.match(key) for key in overrides)
    if 'data_root' in overrides:
        for dataset in _datasets(cfg):
            dataset.data_root = str(overrides['data_root'])
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name)
        if isinstance(loader, dict) and loader.get('num_workers') == 0:
            loader['persistent_workers'] = False  # torch refuses to keep none
    if launcher in RANKS and RANKS[launcher] not in os.environ:
        raise UserError(f'--launcher {launcher}: {RANKS[launcher]} is not set, expected a start by '
                        'tools/dist_train.sh, tools/dist_test.sh or tools/slurm_train.sh')
    if launcher in ('slurm', 'mpi') and not torch.cuda.is_available():
        raise UserError(f'--launcher {launcher}: found no GPU, which it is for; expected a start '
                        'by tools/dist_train.sh, tools/dist_test.sh or tools/slurm_train.sh')
    cfg.launcher = launcher
    os.environ.setdefault('LOCAL_RANK', str(local_rank))
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(Path('work_dirs') / Path(path).stem)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    return cfg


def train(cfg: Config, resume: str | None = None, amp: bool = False,
          auto_scale_lr: bool = False) -> None:
    """Train as a config says.

    Data are checked before anything is written.

    Args:
        cfg: of :func:`load_config`.
        resume: ``'auto'`` or the path of a checkpoint to go on from.
        amp: use automatic mixed precision, on a GPU.
        auto_scale_lr: scale learning rates by the total batch size.

    Raises:
        UserError: the data, the weights or the settings are wrong.
    """
    check_data(cfg, ('train_dataloader', 'val_dataloader'))
    _check_model(cfg)
    if amp:
        _use_amp(cfg)
    if auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise UserError(f'{cfg.filename}: auto_scale_lr.base_batch_size is missing, expected '
                            'the batch size that the learning rates are made for')
        cfg.auto_scale_lr.enable = True
    if resume is not None:
        cfg.resume = 'auto' if resume == 'auto' else True
        if resume != 'auto':
            _check_file(resume, 'a checkpoint to go on from')
            read_checkpoint(resume)  # refuses a damaged one before anything is written
            cfg.load_from = resume
    goes_on = cfg.get('resume') and (cfg.resume != 'auto' or find_resumable(cfg.work_dir))
    if not goes_on:  # a run that does takes nothing but its own checkpoint
        prepare_load_from(cfg)
        if cfg.get('load_from') and Path(cfg.load_from).is_file():
            read_checkpoint(cfg.load_from)  # refused now rather than in a run begun
    settings = load_postprocess(_evaluator(cfg, 'val_evaluator').get('postprocess'))
    kept = check_writable(cfg.work_dir) / POSTPROCESS_FILE
    if not (cfg.get('resume') and kept.exists()):  # a tuned one stays when a run goes on
        with atomic_write(kept) as temporary:
            temporary.write_text(json.dumps(settings, indent=2) + '\n')
    _build_runner(cfg).train()
    _leave_group()


def test(cfg: Config, checkpoint: str, out: str | None = None, submission: str | None = None,
         images: str | None = None, postprocess: str | None = None, show: bool = False,
         show_dir: str | None = None, wait_time: float = 2) -> dict[str, float]:
    """Test a checkpoint.

    Args:
        cfg: of :func:`load_config`.
        checkpoint: weights of a trained model, or a work dir; see :func:`find_checkpoint`.
        out: file for the raw predictions.
        submission: file for the final instances in Kaggle's format.
        images: folder of images to predict instead of the validation images; gives no score.
        postprocess: settings to use; by default postprocess.json beside the checkpoint, if it is
            there and no option of :func:`load_config` changed the config's, else the config's.
        show: show predictions in a window.
        show_dir: folder for pictures of predictions.
        wait_time: seconds that a window stays open.

    Returns:
        The metric's values by name; none for a folder of images.

    Raises:
        UserError: the data, the checkpoint or the settings are wrong.
    """
    checkpoint = find_checkpoint(checkpoint)
    cfg.load_from, cfg.resume = checkpoint, False
    evaluator = _evaluator(cfg, 'test_evaluator')
    if images:
        _check_section(cfg, 'test_dataloader')
        pipelines = [dataset.pipeline for dataset in _find_datasets(cfg.test_dataloader)
                     if 'pipeline' in dataset]
        if not pipelines:
            raise UserError(f'{cfg.filename}: test_dataloader: found no pipeline, expected one for '
                            'the images of a folder')
        cfg.test_dataloader.dataset = dict(
            type='SartoriusDataset', data_root='', ann_file='', data_prefix=dict(img=images),
            test_mode=True, pipeline=pipelines[0])
        evaluator.format_only = True
    check_data(cfg, ('test_dataloader',))
    _check_model(cfg)
    check_class_count(checkpoint, cfg.model)
    evaluator.postprocess = _choose_postprocess(cfg, checkpoint, postprocess)
    load_postprocess(evaluator.get('postprocess'))
    evaluator.predictions_file, evaluator.submission_file = out, submission
    for target in (out, submission):
        if target:
            check_target(target)
    if show or show_dir:
        cfg.default_hooks.visualization.update(
            draw=True, show=show, wait_time=wait_time, interval=1,
            test_out_dir=str(Path(show_dir).resolve()) if show_dir else None)
    check_writable(cfg.work_dir)
    runner = _build_runner(cfg)
    source = evaluator.postprocess if isinstance(evaluator.get('postprocess'), str) else 'config'
    print_log(f'post-processing settings: {source}', 'current')
    scores = runner.test()
    _leave_group()
    return scores


def _choose_postprocess(cfg: Config, checkpoint: str, given: str | None) -> Any:
    """Give the file of settings, or the config's own; see :func:`test`."""
    beside = Path(checkpoint).parent / POSTPROCESS_FILE
    if given:
        return str(given)
    if beside.is_file() and not cfg.get('postprocess_overridden'):
        return str(beside)
    return _evaluator(cfg, 'test_evaluator').get('postprocess')


def find_checkpoint(path: str) -> str:
    """Give the checkpoint that a path stands for.

    Args:
        path: a file, or the work dir of a run, which stands for its best checkpoint, or for the
            last one where no validation has chosen a best.

    Returns:
        The file.

    Raises:
        MissingFileError: there is none.
    """
    folder = Path(path)
    if not folder.is_dir():
        _check_file(path, 'a checkpoint')
        return path
    best = sorted(folder.glob('best_*.pth'), key=lambda file: file.stat().st_mtime)
    if best:
        return str(best[-1])
    last = folder / 'last_checkpoint'
    if not last.is_file():
        raise MissingFileError(f'{path}: no checkpoint in this folder, expected a work dir')
    newest = folder / Path(last.read_text().strip()).name  # the folder may have been moved
    _check_file(str(newest), f'the checkpoint that {last} names')
    return str(newest)


def check_data(cfg: Config, loaders: Sequence[str]) -> None:
    """Read the data sets of a config once, so that errors come before anything is written.

    Args:
        cfg: the config.
        loaders: names of its data loaders.

    Raises:
        UserError: a data set is wrong.
    """
    for name in loaders:
        _check_section(cfg, name)
        for key, least in (('batch_size', 1), ('num_workers', 0)):
            value = cfg[name].get(key, 1)
            if not isinstance(value, int) or value < least:
                raise UserError(f'{cfg.filename}: {name}.{key}: found {value!r}, expected a whole '
                                f'number >= {least}')
        for dataset in _find_datasets(cfg.get(name)):
            with _as_user_error(f'{cfg.filename}: {name}.dataset'):
                if DATASETS.get(dataset['type']) is None:
                    raise UserError(f'{cfg.filename}: {name}.dataset.type: found '
                                    f'{dataset["type"]!r}, expected the name of a dataset')
                if dataset['type'] == 'SartoriusDataset':
                    DATASETS.build({**copy.deepcopy(dataset), 'pipeline': []})
            for number, step in enumerate(dataset.get('pipeline') or []):
                with _as_user_error(f'{cfg.filename}: {name}.dataset.pipeline.{number}'):
                    TRANSFORMS.build(copy.deepcopy(step))


def _check_section(cfg: Config, name: str, kinds: Any = Mapping) -> None:
    if not isinstance(cfg.get(name), kinds):
        raise UserError(f'{cfg.filename}: {name}: found {cfg.get(name)!r}, expected that of a run')


def _check_model(cfg: Config) -> None:
    """Build the model without its weights, so that a wrong config shows at once."""
    _check_section(cfg, 'model')
    with _as_user_error(f'{cfg.filename}: model'):
        model_shapes(cfg.model)


@contextmanager
def _as_user_error(place: str) -> Iterator[None]:
    """Turn whatever building from a config raises into one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f'{place}: {type(error).__name__}: {error}') from error


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


def _datasets(cfg: Config) -> Iterator[Any]:
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        yield from _find_datasets(cfg.get(name))


def _find_datasets(node: Any) -> Iterator[Any]:
    """Walk through a data loader's config, yielding data sets that have a root."""
    if isinstance(node, dict):
        if 'data_root' in node:
            yield node
        for value in node.values():
            yield from _find_datasets(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _find_datasets(value)


def _evaluator(cfg: Config, name: str) -> Any:
    """Return the config of the competition's metric among the evaluators."""
    _check_section(cfg, name, Mapping | list)
    evaluators = cfg[name] if isinstance(cfg[name], list) else [cfg[name]]
    for evaluator in evaluators:
        if isinstance(evaluator, Mapping) and evaluator.get('type') == 'SartoriusMetric':
            return evaluator
    raise UserError(f'{cfg.filename}: {name}: expected a SartoriusMetric')


def _use_amp(cfg: Config) -> None:
    if not torch.cuda.is_available():
        raise UserError('--amp: no CUDA device found, expected one')
    holders = cfg.train_cfg.get('stages') or [cfg]
    for holder in holders:
        holder.optim_wrapper.type = 'AmpOptimWrapper'
        holder.optim_wrapper.setdefault('loss_scale', 'dynamic')


def _check_file(path: str, expected: str) -> None:
    if not Path(path).is_file():
        raise MissingFileError(f'{path}: no such file, expected {expected}')


def _leave_group() -> None:
    """Say good-bye to the other processes: threads left behind can abort the exit."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _build_runner(cfg: Config) -> Runner:
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)

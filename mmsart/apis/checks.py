"""Checks of a run's config, so that errors come before anything is written."""
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from mmdet.datasets import BaseDetDataset
from mmdet.registry import DATASETS, HOOKS, METRICS, TRANSFORMS, VISBACKENDS
from mmengine.config import Config
from torch import nn

from mmsart.apis.config import find_metrics
from mmsart.apis.dataset_checks import check_coco_metric, check_datasets, check_pixels
from mmsart.datasets.classes import class_names
from mmsart.datasets.nested import find_datasets
from mmsart.engine.hooks.val_loss_hook import ValLossHook, val_loss_dataloader
from mmsart.engine.runner.checkpoint_files import POINTER
from mmsart.models.roi_heads.one_type_roi_head import OneTypeRoIHead
from mmsart.utils import UserError, as_user_error
from mmsart.weights import build_without_weights, check_checkpoint_fits

VARIABLES = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK',
            'MASTER_ADDR')}
"""What mmengine and torch read of a launcher's environment."""

# What mmengine's loggers import when they are first used.
LOGGERS = {
    'AimVisBackend': 'aim', 'ClearMLVisBackend': 'clearml', 'DVCLiveVisBackend': 'dvclive',
    'MLflowVisBackend': 'mlflow', 'NeptuneVisBackend': 'neptune',
    'TensorboardVisBackend': 'tensorboard', 'WandbVisBackend': 'wandb'}
# Heads that tell the classes of the data apart: an RPN tells objects from background, and a
# semantic head has classes of its own.
CLASS_HEAD = re.compile(r'(^|\.)(?!rpn_|semantic_)\w*heads?(\.\d+)?$')


def check_launcher(launcher: str) -> None:
    """Check that the environment is the one that a launcher makes.

    Args:
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.

    Raises:
        UserError: it was not started by that launcher, or lacks the GPU that it needs.
    """
    for name in VARIABLES.get(launcher, ()):
        if name not in os.environ:
            raise UserError(f'--launcher {launcher}: {name} is not set, expected the process to be '
                            'started by tools/dist_train.sh, tools/dist_test.sh or '
                            'tools/slurm_train.sh')
    if launcher in ('slurm', 'mpi') and not torch.cuda.is_available():
        raise UserError(f'--launcher {launcher}: found no GPU, expected one; without a GPU, '
                        'start with tools/dist_train.sh, tools/dist_test.sh or '
                        'tools/slurm_train.sh')


def check_section(cfg: Config, name: str, kinds: Any = Mapping) -> None:
    """Check that a config has a part that a run needs.

    Args:
        cfg: the config.
        name: key of the part.
        kinds: types that it may have.

    Raises:
        UserError: it is missing, or of another type.
    """
    if not isinstance(cfg.get(name), kinds):
        raise UserError(f'{cfg.filename}: {name}: found {cfg.get(name)!r}, expected a dict')


def check_data(cfg: Config, loaders: Sequence[str]) -> list[BaseDetDataset]:
    """Read the data sets of a config once, and decode each of their images.

    Args:
        cfg: the config.
        loaders: names of its data loaders.

    Returns:
        The data sets that read files.

    Raises:
        UserError: a data set, a transform or an image is wrong.
    """
    datasets: list[BaseDetDataset] = []
    for name in loaders:
        check_section(cfg, name)
        for key, minimum in (('batch_size', 1), ('num_workers', 0)):
            value = cfg[name].get(key, 1)
            if not isinstance(value, int) or value < minimum:
                raise UserError(f'{cfg.filename}: {name}.{key}: found {value!r}, expected a whole '
                                f'number >= {minimum}')
        found = check_datasets(cfg, name)
        evaluator = name.replace('dataloader', 'evaluator')
        with as_user_error(f'{cfg.filename}: {evaluator}'):
            check_coco_metric(cfg, evaluator, found)
        datasets += found
    check_pixels(datasets)
    return datasets


def data_classes(cfg: Config, name: str) -> tuple[str, ...]:
    """Tell what the classes of a data loader's data set are, without reading the data.

    Args:
        cfg: the config.
        name: key of the data loader.

    Returns:
        Names in label order.

    Raises:
        UserError: there is no data set, or it names no classes.
    """
    check_section(cfg, name)
    dataset: Any = next(find_datasets(cfg[name]), {})  # joined ones have the first one's metainfo
    with as_user_error(f'{cfg.filename}: {name}.dataset'):
        kind: Any = DATASETS.get(dataset['type'])
        try:
            return class_names(kind._load_metainfo(dataset.get('metainfo')))
        except UserError as error:
            raise UserError(f'{cfg.filename}: {name}.dataset.{error}') from None


def check_loggers(cfg: Config) -> None:
    """Check that the packages of a run's loggers are installed.

    Args:
        cfg: the config.

    Raises:
        UserError: one is missing, or a logger is unknown.
    """
    visualizer = cfg.get('visualizer') or {}
    backends = visualizer.get('vis_backends') or []
    if not isinstance(backends, list | tuple):
        raise UserError(f'{cfg.filename}: visualizer.vis_backends: found {backends!r}, expected a '
                        'list of dicts')
    for number, backend in enumerate(backends):
        kind = backend.get('type') if isinstance(backend, Mapping) else backend
        place = f'{cfg.filename}: visualizer.vis_backends.{number}.type: found {kind!r}'
        if isinstance(kind, str) and VISBACKENDS.get(kind) is None:
            raise UserError(f'{place}, expected the name of a logger')
        package = LOGGERS.get(getattr(kind, '__name__', str(kind)).rpartition('.')[2])
        if package and find_spec(package) is None:
            raise UserError(f'{place}, expected its package {package} to be installed; run: pip '
                            f'install {package}')


def validates(cfg: Config) -> bool:
    """Tell whether a training looks at validation images; without, mmengine wants three Nones."""
    return any(cfg.get(name) is not None
               for name in ('val_dataloader', 'val_cfg', 'val_evaluator'))


def val_loss_pipelines(cfg: Config) -> Iterator[tuple[str, Any]]:
    """List the transforms of the images on which each `ValLossHook` measures.

    Args:
        cfg: the config of a training with validation images.

    Yields:
        The key that they stand under, and the transforms.

    Raises:
        UserError: a hook has none.
    """
    for number, hook in enumerate(cfg.get('custom_hooks') or []):
        if isinstance(hook, Mapping) and HOOKS.get(str(hook.get('type'))) is ValLossHook:
            try:
                loader = val_loss_dataloader(cfg, hook.get('pipeline'))
            except UserError as error:
                raise UserError(f'{cfg.filename}: custom_hooks.{number}: {error}') from None
            place = f'custom_hooks.{number}.' if hook.get('pipeline') else 'val_loss_'
            for dataset in islice(find_datasets(loader), 1):  # all of them have the same
                yield f'{place}pipeline', dataset['pipeline']


def check_val_loss(cfg: Config) -> None:
    """Check the transforms of `ValLossHook`, which it builds after the first validation only.

    Args:
        cfg: the config of a training with validation images.

    Raises:
        UserError: there is none, or one cannot be built.
    """
    for place, pipeline in val_loss_pipelines(cfg):
        for number, step in enumerate(pipeline):
            with as_user_error(f'{cfg.filename}: {place}.{number}'):
                TRANSFORMS.build(step)


def check_save_best(cfg: Config) -> None:
    """Check that the score by which the best checkpoint is chosen is one that a validation gives.

    Args:
        cfg: the config.

    Raises:
        UserError: no metric of the validation has the score's prefix.
    """
    keys = ((cfg.get('default_hooks') or {}).get('checkpoint') or {}).get('save_best')
    prefixes = {'val_loss'}  # of ValLossHook
    for metric in find_metrics(cfg, 'val_evaluator'):
        kind = METRICS.get(metric.get('type', ''))
        prefixes.add(str(metric.get('prefix') or getattr(kind, 'default_prefix', None)))
    for key in [keys] if isinstance(keys, str) else keys or []:
        prefix = key.split('/')[0] if '/' in key else 'None'
        if key != 'auto' and prefix not in prefixes:
            known = ', '.join(sorted(prefixes - {'None'}))
            raise UserError(
                f'{cfg.filename}: default_hooks.checkpoint.save_best: found {key}, expected a '
                f'score that val_evaluator gives ({known}/...), or auto for its first one')


def check_model(cfg: Config, loaders: Sequence[str] = ()) -> nn.Module:
    """Build the model without its weights, and hold its class count against the data's.

    Args:
        cfg: the config.
        loaders: names of its data loaders.

    Returns:
        The model.

    Raises:
        UserError: the model cannot be built, or a head has another number of classes than the
            data sets.
    """
    check_section(cfg, 'model')
    with as_user_error(f'{cfg.filename}: model'):
        model = build_without_weights(cfg.model)
    of_one_class = {head for module in model.modules() if isinstance(module, OneTypeRoIHead)
                    for head in module.bbox_heads}
    for loader in loaders:
        classes = data_classes(cfg, loader)
        for name, module in model.named_modules():
            found = getattr(module, 'num_classes', None)
            if (CLASS_HEAD.search(name) and isinstance(found, int) and found != len(classes)
                    and module not in of_one_class):
                # The stages of a CascadeMaskRoIHead, as a config calls them.
                key = name.replace('bbox_heads', 'bbox_head')
                raise UserError(
                    f'{cfg.filename}: model.{key}.num_classes: found {found}, expected '
                    f'{len(classes)} ({", ".join(classes)}), the classes of {loader}')
    return model


def check_checkpoint(cfg: Config, checkpoint: str) -> None:
    """Check that a checkpoint is one of a config's model.

    Args:
        cfg: the config.
        checkpoint: file of the weights.

    Raises:
        UserError: it is of another model; the message names the config of the work dir that it
            lies in, if there is just one.
    """
    try:
        check_checkpoint_fits(checkpoint, cfg.model)
    except UserError as error:
        folder = Path(checkpoint).parent
        own = list(folder.glob('*.py')) if (folder / POINTER).is_file() else []
        if len(own) != 1 or (cfg.filename and own[0].samefile(cfg.filename)):
            raise
        raise UserError(f'{error}; its own config is {own[0]}') from error

"""Checks that a training has the masks that its detector learns from, and has them right."""
import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mmdet.datasets.transforms import CachedMixUp, MixUp, Mosaic
from mmdet.registry import DATASETS, TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from torch import nn

from mmsart.apis.checks import val_loss_pipelines, validates
from mmsart.datasets.nested import find_datasets, walk_datasets
from mmsart.utils import UserError, as_user_error

# Transforms of these load masks by `with_mask` or not at all; what others do is not known.
KNOWN_PACKAGES = ('mmcv', 'mmdet', 'mmsart')


def check_mask_loading(cfg: Config, model: nn.Module) -> None:
    """Check that masks are loaded wherever a detector's losses need them.

    Args:
        cfg: config of a training, whose data sets and transforms are known to be right.
        model: the detector, built from it.

    Raises:
        UserError: images of the training, of a stage of it or of :class:`ValLossHook`,
            come without masks.
    """
    learners = [name for name, module in model.named_modules() if hasattr(module, 'loss_mask')]
    if not learners:
        return
    for place, pipeline in _pipelines(cfg):
        with as_user_error(f'{cfg.filename}: {place}'):
            steps = list(_flat(TRANSFORMS.build(copy.deepcopy(step)) for step in pipeline))
        if (all(type(step).__module__.split('.')[0] in KNOWN_PACKAGES for step in steps)
                and not any(getattr(step, 'with_mask', False) for step in steps)):
            raise UserError(
                f'{cfg.filename}: {place}: found no transform that loads masks, expected '
                f'LoadCroppedAnnotations, or LoadAnnotations with with_mask=True: '
                f'model.{learners[0]} learns from them')


def check_mask_mixing(cfg: Config) -> None:
    """Refuse transforms of mmdet that mix images and boxes, but not their masks.

    `Mosaic` and `MixUp` leave the masks of the first image; `CachedMixUp` cuts those of an
    enlarged image at the lower border before it moves them.

    Args:
        cfg: config of a training, whose data sets and transforms are known to be right.

    Raises:
        UserError: one is there, so that masks would belong to other boxes.
    """
    place = f'{cfg.filename}: train_dataloader.dataset.pipeline'
    with as_user_error(place):
        steps = [step for dataset in walk_datasets(cfg.train_dataloader) for step in _flat(
            TRANSFORMS.build(copy.deepcopy(each)) for each in dataset.get('pipeline') or [])]
    if any(getattr(step, 'with_mask', False) for step in steps):
        for step in steps:
            if type(step) in (Mosaic, MixUp):  # the cached one is a subclass that mixes masks
                name = type(step).__name__
                raise UserError(f'{place}: found {name}, which mixes images and boxes and leaves '
                                f'the masks as they were, expected Cached{name}')
            if isinstance(step, CachedMixUp) and step.ratio_range[1] > 1:
                raise UserError(f'{place}: found CachedMixUp with ratio_range {step.ratio_range}, '
                                'which cuts masks of enlarged images and not their boxes, '
                                'expected an upper bound of at most 1')


def _pipelines(cfg: Config) -> Iterator[tuple[str, Any]]:
    """List the transforms that images go through on their way to losses, with their place."""
    for dataset in find_datasets(cfg.train_dataloader):
        kind: Any = DATASETS.get(dataset['type'])
        # What wraps a data set has transforms for what the inner one has loaded.
        if isinstance(kind, type) and issubclass(kind, BaseDataset):
            yield 'train_dataloader.dataset.pipeline', dataset.get('pipeline') or []
    for number, stage in enumerate(cfg.get('train_cfg', {}).get('stages', [])):
        if stage.get('pipeline') is not None:
            yield f'train_cfg.stages.{number}.pipeline', stage['pipeline']
    if validates(cfg):
        yield from val_loss_pipelines(cfg)


def _flat(steps: Iterable[Callable]) -> Iterator[Callable]:
    """Go through transforms and those within them, as RandomChoice has them."""
    for step in steps:
        yield step
        inner = getattr(step, 'transforms', None)
        if inner is not None:
            yield from _flat(inner if isinstance(inner, list | tuple) else [inner])

"""A check that a training loads the masks that its detector learns from."""
import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mmdet.registry import DATASETS, TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from torch import nn

from mmsart.apis.checks import val_loss_pipelines, validates
from mmsart.datasets.nested import find_datasets
from mmsart.utils import UserError, as_user_error

# Transforms of these load masks by `with_mask` or not at all; what others do is not known.
KNOWN_PACKAGES = ('mmcv', 'mmdet', 'mmsart')


def check_mask_loading(cfg: Config, model: nn.Module) -> None:
    """Check that masks are loaded wherever a detector's losses need them.

    Args:
        cfg: config of a training, whose data sets and transforms are known to be right.
        model: the detector, built from it.

    Raises:
        UserError: images of the training, or of :class:`ValLossHook`, come without masks.
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


def _pipelines(cfg: Config) -> Iterator[tuple[str, Any]]:
    """List the transforms that images go through on their way to losses, with their place."""
    for dataset in find_datasets(cfg.train_dataloader):
        kind: Any = DATASETS.get(dataset['type'])
        # What wraps a data set has transforms for what the inner one has loaded.
        if isinstance(kind, type) and issubclass(kind, BaseDataset):
            yield 'train_dataloader.dataset.pipeline', dataset.get('pipeline') or []
    if validates(cfg):
        yield from val_loss_pipelines(cfg)


def _flat(steps: Iterable[Callable]) -> Iterator[Callable]:
    """Go through transforms and those within them, as RandomChoice has them."""
    for step in steps:
        yield step
        inner = getattr(step, 'transforms', None)
        if inner is not None:
            yield from _flat(inner if isinstance(inner, list | tuple) else [inner])

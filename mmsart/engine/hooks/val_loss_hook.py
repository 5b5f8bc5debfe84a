"""Loss terms on validation images."""
import copy
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner, set_random_seed
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

from mmsart.datasets.nested import find_datasets
from mmsart.engine.runner.random_state import get_random_state, set_random_state
from mmsart.utils import UserError
from mmsart.utils.bare_model import bare_model


@HOOKS.register_module()
class ValLossHook(Hook):
    r"""Add each loss term on the validation images to the metrics of a validation.

    The value of a term is the mean over images, :math:`\frac{1}{N}\sum_i L(x_i)`, every image
    being a batch of its own, so it depends neither on the batch size nor on the number of
    processes. The metrics are ``val_loss/loss`` (the total) and ``val_loss/<term>``; they go to
    the log and to all visualization backends, and a scheduler can watch them:
    ``dict(type='ReduceOnPlateauLR', monitor='val_loss/loss')``.

    Training does not feel it: the model is in evaluation mode (no BatchNorm statistic moves), no
    gradient is taken, and all random states are put back. Proposal and RoI samplers draw random
    numbers; they are seeded by the image, so equal weights give an equal loss.

    Args:
        pipeline: transforms for these images: those of training without its augmentation, ending
            in ``PackDetInputs``; by default the config's ``val_loss_pipeline``. The dataset is
            that of ``val_dataloader``, or those that are joined there.
        interval: measure at every `interval`-th validation of a run, or of each of its stages, and
            at the last one.
        num_images: measure on that many images, evenly spread over the dataset; None for all.
        seed: changes the samples that the samplers draw.
    """

    # Before RuntimeInfoHook, so that it logs the new metrics, and before EMAHook, so that they
    # belong to the same weights as the other metrics of this validation.
    priority = 'HIGHEST'
    prefix = 'val_loss'

    def __init__(self, pipeline: list | None = None, interval: int = 1,
                 num_images: int | None = None, seed: int = 0) -> None:
        if interval < 1:
            raise UserError(f'ValLossHook: interval: expected 1 or more, found {interval}')
        if num_images is not None and num_images < 1:
            raise UserError(f'ValLossHook: num_images: expected 1 or more, found {num_images}')
        self.pipeline = pipeline
        self.interval = interval
        self.num_images = num_images
        self.seed = seed
        self._dataloader: DataLoader | None = None

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Measure the loss and put its terms into `metrics`.

        Args:
            runner: the runner.
            metrics: the metrics of this validation, extended in place.
        """
        # The log shows a mean over the last values of everything named "loss", and it shows
        # values of earlier validations again: it must find this validation's only.
        scalars = runner.message_hub.log_scalars
        for key in [key for key in scalars if key.startswith(f'val/{self.prefix}/')]:
            del scalars[key]
        if metrics is None or not self._is_due(runner):
            return
        state = get_random_state()
        if self._dataloader is None:
            self._dataloader = self._build_dataloader(runner)
        terms = mean_losses(runner.model, self._dataloader, self.seed)
        set_random_state(state)
        metrics.update({f'{self.prefix}/{name}': value for name, value in terms.items()})

    def _is_due(self, runner: Runner) -> bool:
        """Count validations by the training's own position, so that a resumed run agrees."""
        if self.interval == 1 or not isinstance(runner._train_loop, BaseLoop):
            return True  # asking the runner for its position would build a training
        if runner.iter == runner.max_iters:
            return True
        loop = runner._train_loop
        if hasattr(loop, 'validations'):
            count = loop.validations
        else:
            by_epoch = isinstance(loop, EpochBasedTrainLoop)
            count = (runner.epoch if by_epoch else runner.iter) // runner.val_interval
        return count % self.interval == 0

    def _build_dataloader(self, runner: Runner) -> DataLoader:
        cfg = val_loss_dataloader(runner.cfg, self.pipeline)
        dataset: Dataset = runner.build_dataloader(cfg).dataset
        count = len(dataset)  # type: ignore[arg-type]
        if self.num_images is not None and self.num_images < count:
            chosen = np.linspace(0, count - 1, self.num_images).round().astype(int)
            dataset = Subset(dataset, chosen.tolist())
        cfg['dataset'] = dataset
        return runner.build_dataloader(cfg)


def val_loss_dataloader(cfg: Mapping[str, Any], pipeline: list | None = None) -> Any:
    """Return the config of a loader of validation images, one by one, on their way to losses.

    Args:
        cfg: the config of a run.
        pipeline: transforms of the images; None for the config's ``val_loss_pipeline``.

    Returns:
        A copy of its ``val_dataloader`` with these transforms, in each of the data sets that are
        joined.

    Raises:
        UserError: the config has no such loader, or there is no pipeline.
    """
    loader = copy.deepcopy(cfg.get('val_dataloader'))
    if loader is None:
        raise UserError('ValLossHook: the config has no val_dataloader to take images from')
    pipeline = pipeline or cfg.get('val_loss_pipeline')
    if pipeline is None:
        raise UserError('ValLossHook: found neither its own pipeline nor val_loss_pipeline in '
                        'the config, expected transforms that load annotations')
    for dataset in find_datasets(loader):
        dataset['pipeline'] = copy.deepcopy(pipeline)
    # Rounding up would count some images twice where processes share them unequally.
    sampler = dict(type='DefaultSampler', shuffle=False, round_up=False)
    loader.update(batch_size=1, persistent_workers=False, sampler=sampler)
    return loader


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Switch a model to evaluation mode and each of its modules back to what it was."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


@torch.no_grad()
def mean_losses(model: Any, dataloader: DataLoader, seed: int) -> dict[str, float]:
    """Average each loss term over the images of all processes.

    Args:
        model: a detector, or one in a distributed wrapper.
        dataloader: batches of one image with annotations.
        seed: base of the seeds of the images.

    Returns:
        Mean per term, ``loss`` for their sum. A term that only some images give (a mask loss
        where nothing was sampled) counts as 0 for the others. Empty without images.
    """
    model = bare_model(model)  # the wrapper's forward would exchange buffers
    sums: dict[str, float] = defaultdict(float)
    count = 0
    with evaluation_mode(model):
        for batch in dataloader:
            set_random_seed((seed + _fingerprint(batch)) % 2**32)
            for name, value in _losses(model, batch).items():
                sums[name] += float(value)
            count += 1
    shares = all_gather_object((dict(sums), count))
    total = sum(share for _, share in shares)
    names = dict.fromkeys(name for terms, _ in shares for name in terms)
    return {name: sum(terms.get(name, 0.0) for terms, _ in shares) / total for name in names}


def _losses(model: Any, batch: Any) -> dict[str, torch.Tensor]:
    data = model.data_preprocessor(batch, False)
    losses = model(**data, mode='loss') if isinstance(data, dict) else model(*data, mode='loss')
    return model.parse_losses(losses)[1]


def _fingerprint(batch: Any) -> int:
    """Number that names the image, the same in each process and at each validation."""
    samples = batch.get('data_samples', []) if isinstance(batch, dict) else []
    names = [str(sample.get('img_id', sample.get('img_path', ''))) for sample in samples]
    return zlib.crc32(' '.join(names).encode())

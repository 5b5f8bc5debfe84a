"""Batches whose content depends on the seed and their place in the run alone.

A loader's random numbers usually come from its workers' generators, which nobody saves: they
depend on the number of workers, on prefetching and on how long the workers have lived. Here
each sample carries its own seed, made of (seed, epoch, rank, batch, slot). A resumed run, or one
with another number of workers, sees the same pixels.
"""
from collections.abc import Iterator
from typing import Any

import numpy as np
from mmengine.dist import get_rank
from mmengine.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import BatchSampler, Dataset, Sampler

from mmsart.engine.runner.random_state import host_seeded


class SeededIndex(int):
    """The index of a sample together with the seed of its augmentation."""

    seed: int

    def __new__(cls, index: int, seed: int) -> 'SeededIndex':
        """Make an integer that also holds `seed`."""
        self = super().__new__(cls, index)
        self.seed = seed
        return self

    def __getnewargs__(self) -> tuple[int, int]:  # type: ignore[override]
        return int(self), self.seed


@DATASETS.register_module()
class SeededDataset(Dataset):
    """A dataset that seeds all generators for each sample and restores them after it.

    Other attributes are those of the wrapped dataset.

    Args:
        dataset: the dataset or its config.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset

    def __getattr__(self, name: str) -> Any:
        if name == 'dataset' or name.startswith('__'):  # not there yet while unpickling
            raise AttributeError(name)
        return getattr(self.dataset, name)

    @property
    def pipeline(self) -> Any:
        """The pipeline of the wrapped dataset."""
        return self.dataset.pipeline

    @pipeline.setter
    def pipeline(self, pipeline: Any) -> None:
        self.dataset.pipeline = pipeline

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        if not isinstance(index, SeededIndex):
            return self.dataset[index]
        with host_seeded(index.seed):
            return self.dataset[int(index)]


@DATA_SAMPLERS.register_module()
class SeededBatchSampler(Sampler):
    """Batches of :class:`SeededIndex`, starting anywhere in an epoch.

    Args:
        sampler: yields the indices of this rank.
        batch_size: samples a batch and rank.
        seed: seed of the run.
        drop_last: leave out an incomplete last batch.
        batch_sampler: config of the batch sampler to wrap; the default groups in order.
    """

    def __init__(self, sampler: Any, batch_size: int, seed: int, drop_last: bool = False,
                 batch_sampler: dict | None = None) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        self.seed = seed
        defaults = dict(sampler=sampler, batch_size=batch_size, drop_last=drop_last)
        self.batch_sampler = (
            BatchSampler(**defaults) if batch_sampler is None
            else DATA_SAMPLERS.build(dict(batch_sampler), default_args=defaults))
        self._epoch, self._first, self._consumed = 0, 0, 0

    def place(self, epoch: int, batch: int, consumed: int) -> None:
        """Say where the next iteration begins.

        Args:
            epoch: number of the epoch, from 0.
            batch: batches of it that have been used.
            consumed: batches that the whole run has used, for samplers without an end.
        """
        self._epoch, self._first, self._consumed = epoch, batch, consumed

    def reseed(self, seed: int) -> None:
        """Take over the seed of a run that is resumed."""
        self.seed = seed
        if hasattr(self.sampler, 'seed'):
            self.sampler.seed = seed

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[list[SeededIndex]]:
        epoch, first, drop = self._epoch, self._first, self._first
        if hasattr(self.sampler, 'skip'):  # an InfiniteSampler counts from the start of the run
            plain = type(self.batch_sampler) is BatchSampler
            self.sampler.skip(self._consumed * self.batch_size if plain else 0)
            drop = 0 if plain else self._consumed
        elif hasattr(self.sampler, 'set_epoch'):
            self.sampler.set_epoch(epoch)
        batches = iter(self.batch_sampler)
        for _ in range(drop):
            next(batches, None)
        rank = get_rank()
        for number, batch in enumerate(batches, start=first):
            keys = (self.seed, epoch, rank, number)
            seeds = np.random.SeedSequence(keys).generate_state(len(batch))
            yield [SeededIndex(index, int(seed))
                   for index, seed in zip(batch, seeds, strict=True)]


def seeded_dataloader(dataloader: dict, seed: int) -> dict:
    """Rewrite a train dataloader's config so that it yields seeded samples.

    Args:
        dataloader: config as mmengine's runner takes it.
        seed: seed of the run.

    Returns:
        The new config; `dataloader` stays as it is.
    """
    config = dict(dataloader)
    batch_sampler = config.pop('batch_sampler', None)
    config['dataset'] = dict(type='mmengine.SeededDataset', dataset=config['dataset'])
    config['batch_sampler'] = dict(
        type='mmengine.SeededBatchSampler', seed=seed, batch_sampler=batch_sampler,
        drop_last=config.pop('drop_last', False))
    return config

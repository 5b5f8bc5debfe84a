"""Samples that depend on their place in the run alone."""
import pickle
import random

import numpy as np
import torch
from mmengine.runner import Runner

from mmsart.engine.runner.random_state import get_random_state, host_seeded, set_random_state
from mmsart.engine.runner.seeded_data import SeededIndex, seeded_dataloader
from tests.test_engine import toy_run


def draws():
    return random.random(), np.random.rand(), torch.rand(1).item(), random.gauss(0, 1)


def test_index_is_an_integer_that_travels():
    index = pickle.loads(pickle.dumps(SeededIndex(5, 9)))
    assert (index, index.seed, [0, 1, 2, 3, 4, 'five'][index]) == (5, 9, 'five')


def test_random_state_round_trip():
    np.random.randn()  # leaves a second Gaussian behind, which is part of the state
    random.gauss(0, 1)
    state = get_random_state()
    expected = draws(), np.random.randn()
    set_random_state(pickle.loads(pickle.dumps(state)))
    assert (draws(), np.random.randn()) == expected


def test_seeding_leaves_no_trace():
    state = get_random_state()
    expected = draws()
    set_random_state(state)
    with host_seeded(3):
        inside = draws()
    with host_seeded(3):
        assert draws() == inside
    assert draws() == expected


def batches(epoch, batch=0, consumed=0, workers=0, seed=1, **changes):
    """Return the images and indices of an epoch, from a batch on."""
    config = toy_run.config('')['train_dataloader'] | dict(num_workers=workers) | changes
    loader = Runner.build_dataloader(seeded_dataloader(config, seed), seed=seed)
    loader.batch_sampler.place(epoch, batch, consumed)
    return [torch.stack(data['inputs']) for _, data in zip(range(4 - batch), loader, strict=False)]


def equal(first, second):
    return len(first) == len(second) and all(map(torch.equal, first, second))


def test_epochs_and_seeds_differ_and_repeat():
    first = batches(0)
    assert len(first) == 4
    assert equal(first, batches(0))
    assert not equal(first, batches(1))
    assert not equal(first, batches(0, seed=2))


def test_workers_see_the_same_pixels():
    assert equal(batches(0), batches(0, workers=2))


def test_starting_within_an_epoch():
    for batch in range(4):
        assert equal(batches(2)[batch:], batches(2, batch, 8 + batch))


def test_starting_within_an_endless_sampler():
    sampler = dict(sampler=dict(type='InfiniteSampler'))
    first, second = batches(0, **sampler), batches(1, consumed=4, **sampler)
    assert equal(first[2:], batches(0, 2, 2, **sampler))
    assert equal(second[3:], batches(1, 3, 7, **sampler))
    assert not equal(first, second)


def test_last_batch_can_be_dropped():
    config = toy_run.config('')['train_dataloader']
    for drop, sizes in ((False, [3, 3, 3, 2]), (True, [3, 3, 3])):
        loader = Runner.build_dataloader(
            seeded_dataloader(dict(config, drop_last=drop), 0), seed=0)
        assert len(loader) == len(sizes)
        assert [len(data['inputs']) for data in loader] == sizes

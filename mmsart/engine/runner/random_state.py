"""The state of all random generators of a process as a checkpoint keeps it."""
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def get_random_state(cuda: bool = True) -> dict[str, Any]:
    """Read the state of Python's, numpy's, torch's and CUDA's generators.

    Args:
        cuda: also read the generator of the current CUDA device, if there is one. Loader
            workers must not touch it.

    Returns:
        A dict of tuples, numbers and tensors only, so that it loads from a checkpoint with
        ``weights_only=True``.
    """
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    state = {
        'python': random.getstate(),
        'numpy': (name, torch.from_numpy(np.asarray(keys, np.int64)), position, has_gauss, gauss),
        'torch': torch.get_rng_state(),
    }
    if cuda and torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Set all generators to a state of :func:`get_random_state`, loaded to whatever device."""
    version, internal, gauss_next = state['python']
    random.setstate((version, tuple(internal), gauss_next))
    name, keys, position, has_gauss, gauss = state['numpy']
    np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


@contextmanager
def preserve_random_state() -> Iterator[dict[str, Any]]:
    """Leave all generators after the block as they were before it; gives that state."""
    state = get_random_state()
    try:
        yield state
    finally:
        set_random_state(state)


@contextmanager
def host_seeded(seed: int) -> Iterator[None]:
    """Run the block with all generators of the CPU seeded, and put them back after it.

    CUDA's generators are left alone: a loader's worker must not touch them.

    Args:
        seed: 0 <= seed < 2**32.
    """
    state = get_random_state(cuda=False)
    try:
        random.seed(seed)
        np.random.seed(seed)
        torch.default_generator.manual_seed(seed)
        yield
    finally:
        set_random_state(state)

"""A batch in several processes, as torchrun starts them."""
from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch.distributed as dist

from mmsart.utils import UserError

PATIENCE = datetime.timedelta(days=7)  # that fast processes have with slow ones


def count_processes() -> int:
    """Return how many processes torchrun has started; 1 without it.

    Raises:
        UserError: the environment has some of torchrun's variables, as a cluster may leave them.
    """
    count = os.environ.get('WORLD_SIZE', '1')
    if count == '1':
        return 1
    lost = [name for name in ('RANK', 'MASTER_ADDR', 'MASTER_PORT') if name not in os.environ]
    if lost or not count.isdecimal():
        without = f' without {", ".join(lost)}' if lost else ''
        raise UserError(f'WORLD_SIZE: found {count!r} in the environment{without}, expected all '
                        'of these from torchrun, or none: unset WORLD_SIZE')
    return int(count)


@contextmanager
def processes() -> Iterator[tuple[int, int]]:
    """Join the processes of torchrun, if it has started this one.

    Yields:
        The number of this process and how many there are.
    """
    if count_processes() == 1:
        yield 0, 1
        return
    dist.init_process_group('gloo', timeout=PATIENCE)
    try:
        yield dist.get_rank(), dist.get_world_size()
    finally:
        dist.destroy_process_group()


def together(rank: int, action: Callable[[], Any]) -> Any:
    """Let the first process act when all have come this far, and give all what came of it.

    Args:
        rank: number of this process.
        action: what the first one does.

    Returns:
        What the action returned, in every process.

    Raises:
        UserError: whatever the action raised, in every process.
    """
    if not dist.is_initialized():
        return action()
    dist.barrier()
    outcome: list[Any] = [None]
    if rank == 0:
        try:
            outcome = [action()]
        except UserError as error:
            outcome = [error]
    dist.broadcast_object_list(outcome)
    if isinstance(outcome[0], UserError):
        raise outcome[0]
    return outcome[0]

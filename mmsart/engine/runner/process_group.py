"""The group of the processes of a run, joined before its data are checked."""
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as torch_dist
from mmengine.dist import init_dist, is_distributed
from mmengine.utils.dl_utils import set_multi_processing

from mmsart.utils import UserError

TIMEOUT = 1800  # seconds, as mmengine's configs have it


def join_group(launcher: str, env_cfg: Mapping[str, Any]) -> None:
    """Join the other processes of a run, by gloo where there is no CUDA.

    Args:
        launcher: ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.
        env_cfg: of the config.
    """
    if launcher == 'none' or is_distributed():
        return
    # Joining by mmengine would choose another way to start the workers of data loaders.
    set_multi_processing(**env_cfg.get('mp_cfg', {}), distributed=True)
    dist_cfg = env_cfg.get('dist_cfg', {})
    if torch.cuda.is_available():
        init_dist(launcher, **dist_cfg)
    else:
        seconds = dist_cfg.get('timeout', TIMEOUT)
        torch_dist.init_process_group('gloo', timeout=timedelta(seconds=seconds))


@contextmanager
def joined_group(launcher: str, env_cfg: Mapping[str, Any]) -> Iterator[None]:
    """Join the other processes of a run as :func:`join_group` does, and leave them at the end.

    Where one process is refused, it does not wait for the others.
    """
    join_group(launcher, env_cfg)
    try:
        yield
    except UserError:
        if is_distributed():
            torch_dist.destroy_process_group()
        raise
    leave_group()


def leave_group() -> None:
    """Leave the group together with the others: threads left behind can abort the exit."""
    if is_distributed():
        torch_dist.barrier()
        torch_dist.destroy_process_group()

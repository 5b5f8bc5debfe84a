"""Workers of data loaders: they outlive signals that go to all processes at once, and end in time.

Ctrl-C in a terminal and the signals of Slurm reach the workers too. The training then finishes an
iteration, for which it needs them.
"""
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing.context import ForkContext, ForkProcess

from mmengine.runner import Runner
from torch.utils.data import DataLoader


def shelter_workers(loader: DataLoader) -> None:
    """Let nobody but this process end the workers of a loader, from their first moment on."""
    if not loader.num_workers:
        return
    loader.worker_init_fn = partial(begin_worker, loader.worker_init_fn)
    if multiprocessing.get_start_method() == 'fork':
        loader.multiprocessing_context = _Context()


class _Process(ForkProcess):
    """A process that is born deaf to SIGTERM: torch's handler would end it before it begins."""

    def start(self) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Context(ForkContext):
    Process = _Process


def begin_worker(then: Callable[[int], None] | None, worker_id: int) -> None:
    """Let nobody but the parent end this worker.

    Args:
        then: the worker_init_fn in whose place this stands.
        worker_id: of the worker in its loader.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers by SIGTERM
    # Python's handlers do not learn who has sent a signal; a thread that waits for it does.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_obey, args=(os.getppid(),), daemon=True).start()
    if then is not None:
        then(worker_id)


def _obey(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)


def end_workers(runner: Runner) -> None:
    """End the persistent workers of a run's loaders now; at exit torch waits 5 s for each."""
    for loop in (runner._train_loop, runner._val_loop):
        iterator = getattr(getattr(loop, 'dataloader', None), '_iterator', None)
        if iterator is not None:
            iterator._shutdown_workers()

"""Workers of data loaders: they outlive signals that go to all processes at once, and end in time.

Ctrl-C in a terminal and the signals of Slurm reach the workers too. The training then finishes an
iteration, for which it needs them.
"""
import os
import signal
import threading
from collections.abc import Callable

from mmengine.runner import Runner


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

"""Ctrl-C and SIGTERM as requests, which a training answers between two iterations."""
from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType
from typing import Any

from mmsart.utils import RunStopped

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ONE_KEY = 1.0  # seconds; a launcher hands the signal of a key on to those who have got it already


class StopRequest:
    """Context in which the two signals can be noted instead of ending the process.

    A second one ends it, by :class:`~mmsart.utils.RunStopped`.

    Args:
        repeatable: whether a second signal ends the process; not where a launcher sends some of
            its own.

    Attributes:
        signum: the signal that has come, or None.
    """

    def __init__(self, repeatable: bool = True) -> None:
        self.repeatable = repeatable
        self.signum: int | None = None
        self._since = 0.0
        self._owner = os.getpid()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        return self

    def listen(self) -> None:
        """From now on note the signals; somebody looks at :attr:`signum` often enough.

        Until then they end the process as always, also while it waits for others in a library,
        where no handler of Python's would run.
        """
        if threading.current_thread() is threading.main_thread():  # others may not
            self._before = {signum: signal.signal(signum, self._note) for signum in SIGNALS}

    def __exit__(self, *error: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() != self._owner:  # a forked worker: its owner ends it
            return
        if self.signum is None:
            self.signum, self._since = signum, time.monotonic()
            if os.environ.get('RANK', '0') == '0':
                os.write(2, b'\nstopping after this iteration, with a checkpoint\n')  # no print:
                # the signal may have come in the middle of one
        elif self.repeatable and time.monotonic() - self._since > ONE_KEY:
            raise RunStopped('stopped at once; go on from the last checkpoint with --resume',
                             signum)

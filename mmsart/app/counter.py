"""The thread that counts cells after thresholds have changed."""
from __future__ import annotations

import logging
import threading

from mmsart.app.items import DONE, Item
from mmsart.app.library import Library

log = logging.getLogger('mmsart.app')


class Counter(threading.Thread):
    """Count what :attr:`Library.uncounted` holds, a frame at a time, while the page goes on.

    Args:
        library: of all items.
    """

    def __init__(self, library: Library) -> None:
        super().__init__(name='mmsart counts', daemon=True)
        self.library = library
        self._ending = threading.Event()

    def end(self) -> None:
        """Stop after the frame that is being counted; a restart counts the rest."""
        self._ending.set()
        self.library.uncounted.put(None)
        if self.is_alive():
            self.join()

    def run(self) -> None:
        """Work until :meth:`end`."""
        while (item := self.library.uncounted.get()) is not None:
            for frame in range(item.facts.frames if item.facts else 0):
                if self._ending.is_set():
                    return
                self._count(item, frame)

    def _count(self, item: Item, frame: int) -> None:
        try:
            self.library.count(item, frame)
        except Exception as error:  # one frame must not end the counting of others
            if item.state == DONE:  # else it was removed, or is run again
                log.warning('%s: frame %d cannot be counted: %s', item.name, frame, error)

"""What a run shows on the console: what a person reads; the log file has everything."""
import logging
import re
from pathlib import Path

import mmcv
import mmdet
import mmengine

LIBRARIES = tuple(str(Path(package.__file__).parent) for package in (mmcv, mmdet, mmengine))
HOOKS = str(Path(LIBRARIES[-1], 'hooks'))  # progress, checkpoints, early stopping
HIDDEN = ('Checkpoints will be saved to', 'Exp name:', 'Saving checkpoint at')
NEEDLESS = ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias',
            'The prefix is not set in metric class')
SHOWN_VALUES = ('lr', 'eta', 'time', 'loss', 'memory')
PROGRESS = re.compile(r'(?P<head>(Epoch|Iter)\((?P<mode>train|val|test)\)\s*(\[[^\]]*\])+)\s*')
VALUE = re.compile(r'(?P<key>[\w/.@]+): (?P<value>\S+(?: days?, \S+)?)')


class ConsoleFilter(logging.Filter):
    """Pass what this project says, the progress, and warnings.

    A record may carry its own text for the console: ``logger.info(all_of_it,
    extra=dict(console='the short of it'))``.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record goes to the console."""
        message = record.getMessage()
        if record.levelno >= logging.WARNING:
            return not message.startswith(NEEDLESS)
        if record.pathname.startswith(HOOKS):
            return not message.startswith(HIDDEN)
        return not record.pathname.startswith(LIBRARIES)


class ConsoleFormatter(logging.Formatter):
    """Write the time of day and the message; of the progress, the values that people watch."""

    def __init__(self) -> None:
        super().__init__(datefmt='%H:%M:%S')

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one line."""
        text = str(getattr(record, 'console', None) or record.getMessage())
        level = f'{record.levelname.lower()}: ' if record.levelno >= logging.WARNING else ''
        if record.exc_info:
            text += '\n' + self.formatException(record.exc_info)
        return f'{self.formatTime(record, self.datefmt)}  {level}{shorten(text)}'


def shorten(text: str) -> str:
    """Keep of a line of progress what people watch: rate, time left, time per iteration, loss.

    Args:
        text: of mmengine's LoggerHook; any other text stays as it is.

    Example:
        >>> shorten('Epoch(train) [1][20/95]  lr: 1e-03  eta: 0:12:03  data_time: 0.1  loss: 2')
        'Epoch(train) [1][20/95]  lr: 1e-03  eta: 0:12:03  loss: 2'
    """
    found = PROGRESS.match(text)
    if found is None:
        return text
    values = [match.groups() for match in VALUE.finditer(text, found.end())]
    if found['mode'] == 'train' or any(key == 'eta' for key, _ in values):
        values = [(key, value) for key, value in values if key in SHOWN_VALUES]
    else:  # the scores at the end, and of the validation's losses the sum
        values = [(key, value) for key, value in values if key not in ('time', 'data_time')
                  and (key == 'val_loss/loss' or not key.startswith('val_loss/'))]
    return '  '.join([found['head'], *(f'{key}: {value}' for key, value in values)])


def tidy_console(logger: logging.Logger) -> None:
    """Let a logger show on the console what people read; its files keep everything.

    Args:
        logger: of a runner.
    """
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(
                handler, logging.FileHandler):
            handler.addFilter(ConsoleFilter())
            handler.setFormatter(ConsoleFormatter())

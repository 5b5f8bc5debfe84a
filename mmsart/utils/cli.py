"""Common behaviour of the command-line tools."""
import argparse
import functools
import sys
from collections.abc import Callable
from typing import Any

from mmsart.utils.errors import UserError


def cli_main(function: Callable[..., int | None]) -> Callable[..., int]:
    """Turn a tool's main function into one that reports user errors in one line.

    Args:
        function: takes the tool's arguments, returns an exit code or None for 0.

    Returns:
        A function of the same arguments. A :class:`UserError`, or an `OSError` that names a
        file, is printed to stderr as ``error: ...`` and gives exit code 2; other exceptions are
        defects and keep their traceback.
    """

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> int:
        try:
            return function(*args, **kwargs) or 0
        except UserError as error:
            message = _without_worker(str(error))
        except OSError as error:
            if error.filename is None:
                raise
            message = f'{error.filename}: {error.strerror}'
        print('error: ' + ' '.join(message.split()), file=sys.stderr)
        return 2

    return wrapper


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a tool that runs a config, alone or as one of several processes."""
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', default=[],
                        help='override keys of the config')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def _without_worker(message: str) -> str:
    """Strip the traceback that torch puts before the message of an error in a loader's worker."""
    if 'Original Traceback' not in message:
        return message
    return message.strip().rpartition('Error: ')[2]

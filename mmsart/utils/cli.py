"""Common behaviour of the command-line tools."""
import argparse
import errno
import functools
import gc
import io
import os
import re
import select
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mmsart.utils.errors import UserError, did_you_mean

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a disk, a quota, ulimit
MOST_PROBLEMS = 100  # lines that are printed of a run's errors
INSTALL_LIBRARIES = 'apt-get install libgl1 libglib2.0-0'  # what OpenCV needs of a Debian


def cli_main(function: Callable[..., int | None]) -> Callable[..., int]:
    """Turn a tool's main function into one that reports user errors in one line.

    Args:
        function: takes the tool's arguments, returns an exit code or None for 0.

    Returns:
        A function of the same arguments. A :class:`UserError`, or an `OSError` that names a
        file, is printed to stderr as ``error: ...``, one line a problem, and gives exit code 2,
        or 3 where the work is done but for the inputs named. A killed worker of a data loader and
        a missing library of the system are reported in the same way, and warnings as
        ``warning: ...``, each once. Ctrl-C gives 130, and a
        reader of the output who has gone 141. Other exceptions are defects and keep their
        traceback.
    """

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> int:
        _print_any_character()
        try:
            with _warnings_in_lines():
                code = function(*args, **kwargs) or 0
            _flush_stdout()  # here, where an error still gets its line
            return code
        except UserError as error:
            for line in getattr(error, 'done', ()):
                print(line)
            problems = ((_without_worker(str(error)),) if 'Original Traceback' in str(error)
                        else error.problems)
            exit_code = error.exit_code
        except (OSError, EOFError, RuntimeError) as error:
            try:
                with _torch_quiet():
                    lost = _lost_worker(error)
            except RuntimeError as late:  # torch heard of the death before it was quiet
                lost = _lost_worker(late)
            if lost is not None:
                problems = (f'{lost}; expected it to live: where the memory was full, a smaller '
                            'num_workers of the data loaders needs less',)
            elif isinstance(error, OSError) and error.filename is not None:
                problems = (f'{error.filename}: {error.strerror}',)
            elif isinstance(error, BrokenPipeError) and _reader_has_gone():
                _drop_what_is_unprinted()
                return 128 + signal.SIGPIPE
            elif isinstance(error, OSError) and error.errno in DISK_FULL:
                _drop_what_is_unprinted()
                problems = (f'{error.strerror}, expected room for what is written or printed',)
            else:
                raise
            exit_code = 2
        except ImportError as error:
            if 'cannot open shared object file' not in str(error):
                raise
            problems = (f'{error}, expected the libraries that OpenCV needs: {INSTALL_LIBRARIES} '
                        '(docs/install.md); mmsart doctor looks at everything',)
            exit_code = 2
        except KeyboardInterrupt as stop:
            if os.environ.get('RANK', '0') == '0':
                print(str(stop) or 'interrupted', file=sys.stderr)
            gc.freeze()  # the collection at the end of Python takes a busy machine half a minute
            return getattr(stop, 'exit_code', 128 + signal.SIGINT)
        for problem in problems[:MOST_PROBLEMS]:
            print('error: ' + ' '.join(problem.split()), file=sys.stderr)
        if len(problems) > MOST_PROBLEMS:
            print(f'error: {len(problems) - MOST_PROBLEMS} more problems of {len(problems)}',
                  file=sys.stderr)
        return exit_code

    return wrapper


@contextmanager
def _warnings_in_lines() -> Iterator[None]:
    """Print warnings as errors are, without the place in the code, and each of them once."""
    told: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        text = ' '.join(str(message).split())
        if text not in told and os.environ.get('RANK', '0') == '0':
            told.add(text)
            print(f'warning: {text}', file=sys.stderr)

    before, warnings.showwarning = warnings.showwarning, show
    try:
        yield
    finally:
        warnings.showwarning = before


def _print_any_character() -> None:
    """Let a terminal that lacks a character, as in a file's name, show its number instead."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')


def _flush_stdout() -> None:
    if sys.stdout is not None:  # it may be closed from the beginning
        sys.stdout.flush()


def _reader_has_gone() -> bool:
    """Return whether nobody reads the output any more, as of ``mmsart ... | head``."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError, AttributeError):  # the output is no file
        return False


def _drop_what_is_unprinted() -> None:
    """Keep Python from printing once more, in vain, when it ends."""
    try:
        _flush_stdout()
    except OSError:
        with open(os.devnull, 'wb') as sink:
            os.dup2(sink.fileno(), sys.stdout.fileno())


class HelpFormatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Lay help out with the example as it is written, and with every default that is a value."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False or action.default == []:
            return action.help
        if isinstance(action.default, list | tuple):  # as they are typed
            return f'{action.help} (default: {" ".join(map(str, action.default))})'
        return super()._get_help_string(action)


class _Parser(argparse.ArgumentParser):
    """Refuse empty words, and find ``~/`` where the shell has left it, as in ``--out=~/results``.

    Empty words would stand, as paths, for the folder that one is in. Options have to be written
    out: a mistyped one could be the beginning of another.
    """

    def parse_known_args(self, args=None, namespace=None):
        given = [_at_home(word) for word in (sys.argv[1:] if args is None else args)]
        for before, word in zip(['', *given], given, strict=False):
            if not word.strip() or re.fullmatch(r'--[^=]*=\s*', word):
                place = (word if word.strip() else before).rstrip('= ')
                self.error(f'{f"argument {place}: " if place.startswith("-") else ""}found an '
                           'empty word, expected a value (is a variable of the shell not set?)')
        return super().parse_known_args(given, namespace)

    def parse_args(self, args=None, namespace=None):
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            known = [option for option in self._option_string_actions if option.startswith('--')]
            guesses = [did_you_mean(word.partition('=')[0], known)
                       for word in unknown if word.startswith('--')]
            self.error(f'unrecognized arguments: {" ".join(unknown)}' + ''.join(guesses[:1]))
        return options


def _at_home(word: str) -> str:
    """Put the user's folder in the place of a ``~`` that begins a path.

    A name such as ``~backup`` stays: the shell has seen it, and it may be that of a folder.
    """
    option, path = re.fullmatch(r'(--[^=]*=|)(.*)', word, re.DOTALL).groups()  # type: ignore[union-attr]
    return option + os.path.expanduser(path) if re.match('~(/|$)', path) else word


def make_parser(doc: str | None, prog: str | None = None) -> argparse.ArgumentParser:
    """Make the parser of a tool from the docstring of its module.

    Args:
        doc: what the tool does; what follows a line ``Example:`` is shown below the options.
        prog: name of the command; by default the file's.

    Returns:
        The parser, still without arguments.
    """
    description, _, example = (doc or '').partition('\nExample:\n')
    return _Parser(
        prog=prog, description=description.strip(), formatter_class=HelpFormatter,
        allow_abbrev=False, epilog=f'example:\n{example.rstrip()}' if example else None)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a tool that runs a config, alone or as one of several processes."""
    add_config_options(parser)
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
                        help='what has started this process as one of several')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0,
                        help=argparse.SUPPRESS)  # torch.distributed.launch passes it


def add_config_options(
        parser: argparse.ArgumentParser,
        what: str = 'the config, as in train_dataloader.batch_size=4 split.val_fraction=0.1',
        ) -> None:
    """Add the option that overrides keys of a config; given twice, both count."""
    parser.add_argument('--cfg-options', nargs='+', action='extend', metavar='KEY=VALUE',
                        default=[], help=f'override keys of {what} (docs/options.md)')


def add_checkpoint_config_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a config in place of a checkpoint's own, and change it."""
    parser.add_argument('--config', help='config in place of the one that a checkpoint carries')
    add_config_options(parser, '--config, such as model.flip_directions=[]')


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a trained model and its settings."""
    parser.add_argument('--weights', help='name of a model of the package (mmsart models), a '
                        "checkpoint, or the work dir of a run; by default the package's own")
    add_checkpoint_config_options(parser)
    parser.add_argument('--postprocess', metavar='FILE.json',
                        help="post-processing settings, overriding the model's own")


@contextmanager
def _torch_quiet() -> Iterator[None]:
    """Keep torch from raising here what is being told: its loaders do when they hear of a death."""
    if threading.current_thread() is not threading.main_thread():  # signals come to that one alone
        yield
        return
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        if handler is not None:  # one that was not set by Python can't be put back
            signal.signal(signal.SIGCHLD, handler)


def _lost_worker(error: Exception) -> str | None:
    """Say which worker of a data loader has died, if that is what an error comes from."""
    if found := re.search(r'DataLoader worker \(.*', str(error)):  # as torch words it
        return found[0].strip('. ')
    # Before torch notices, reading what the worker was sending fails.
    frames = traceback.walk_tb(error.__traceback__)
    if isinstance(error, ConnectionError | EOFError) and any(
            frame.f_code.co_filename.endswith('torch/utils/data/dataloader.py')
            for frame, _ in frames):
        return 'a DataLoader worker ended unexpectedly'
    return None


def _without_worker(message: str) -> str:
    """Strip the traceback that torch puts before the message of an error in a loader's worker."""
    return message.strip().rpartition('Error: ')[2]

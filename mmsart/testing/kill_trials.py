"""Killing a training at random moments and comparing what it comes to after resuming.

The parent process imports everything and forks a child for each run: a real process, killed by a
real SIGKILL, without the seconds that starting Python and its libraries takes.
"""
import contextlib
import copy
import hashlib
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.fileio.backends import LocalBackend
from mmengine.hooks import Hook
from mmengine.registry import RUNNERS

from mmsart.utils.bare_model import bare_model

KINDS = ('clock', 'moment', 'border', 'write')
RESULT = 'final.txt'


@dataclass(frozen=True)
class Trial:
    """One run that was killed and resumed.

    Attributes:
        kind: how it was killed: by the ``clock``; at some ``moment``, a call of a hook; at the
            ``border`` between two stages; within the ``write`` of a checkpoint.
        where: the moment, in words.
        resumed_from: name of the checkpoint, or ``the start``.
        equal: whether it ended in the same bits as the undisturbed run.
    """

    kind: str
    where: str
    resumed_from: str
    equal: bool


class TrialHook(Hook):
    """Record each moment of a run, and kill the process at one of them.

    Args:
        log: file that gets a line per moment.
        kill_at: number of the moment, from 0; None lets the run live.
    """

    priority = 'LOWEST'

    def __init__(self, log: Path, kill_at: int | None = None) -> None:
        self.log, self.kill_at, self.count = log, kill_at, 0

    def mark(self, runner: Any, name: str) -> None:
        """Note a moment; die if it is the one."""
        line = f'{name} at iteration {runner.iter}, epoch {runner.epoch}'
        with self.log.open('a') as file:
            file.write(line + '\n')
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1


def _marking(name: str) -> Callable:
    def method(self: TrialHook, runner: Any, *args: Any, **kwargs: Any) -> None:
        self.mark(runner, name)
    return method


for _name in ('before_train', 'before_train_stage', 'after_train_stage', 'before_train_epoch',
              'after_train_epoch', 'before_val_epoch', 'after_val_epoch', 'after_train_iter',
              'before_save_checkpoint'):
    setattr(TrialHook, _name, _marking(_name))


@contextlib.contextmanager
def _killed_while_writing(number: int | None, share: float) -> Iterator[None]:
    """Kill the process when a share of the bytes of the n-th checkpoint is on the disk."""
    put, count = LocalBackend.put, 0

    def put_and_die(self: LocalBackend, obj: bytes | memoryview, filepath: str | Path) -> None:
        nonlocal count
        if count == number:
            with open(filepath, 'wb') as file:
                file.write(bytes(obj)[:int(share * len(obj))])
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1
        put(self, obj, filepath)

    LocalBackend.put = put_and_die  # type: ignore[method-assign]
    yield
    LocalBackend.put = put  # type: ignore[method-assign]


def final_digest(runner: Any) -> str:
    """Digest weights, statistics and the state of the optimizer, to the last bit."""
    model = bare_model(runner.model)
    states = runner.optim_wrapper.optimizer.state_dict()['state']
    values = [*model.state_dict().values(), *(
        value for state in states.values() for value in state.values())]
    digest = hashlib.blake2b(digest_size=16)
    for value in values:
        tensor = isinstance(value, torch.Tensor)
        digest.update(value.detach().cpu().numpy().tobytes() if tensor else repr(value).encode())
    return digest.hexdigest()


def _run(cfg: Config, folder: Path, resume: bool, kill_at: int | None = None,
         write: int | None = None, share: float = 0.5) -> None:
    """Train in this process, leaving the digest and the moments in the folder."""
    torch.set_num_threads(1)  # a forked process has none of the threads of its parent
    cfg = copy.deepcopy(cfg)
    object.__setattr__(cfg, '_format_python_code', False)  # most of the time of a short run
    cfg.work_dir, cfg.experiment_name = str(folder), f'trial_{os.getpid()}'
    if resume:
        cfg.resume = 'auto'
    runner = RUNNERS.build(cfg)
    runner.register_hook(TrialHook(folder / 'moments.txt', kill_at))
    with _killed_while_writing(write, share):
        runner.train()
    (folder / RESULT).write_text(final_digest(runner))


def _fork(folder: Path, function: Callable[..., None], *args: Any, **kwargs: Any) -> int:
    """Run a function in a new process, its output going to a file; return the process id."""
    folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        log = os.open(folder / 'output.txt', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        function(*args, **kwargs)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _finish(folder: Path, pid: int, codes: Sequence[int] = (0,)) -> None:
    """Wait for a process; one that ends otherwise than with one of the exit codes is an error."""
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status not in codes:
        tail = (folder / 'output.txt').read_text()[-2000:]
        expected = ' or '.join(map(str, codes))
        raise RuntimeError(
            f'the run in {folder} ended with code {status}, expected {expected}:\n{tail}')


def run_trials(cfg: Config, folder: Path, kills: int, seed: int,
               report: Callable[[str], None] = print) -> list[Trial]:
    """Run a training once undisturbed and then `kills` times with a kill and a resumption.

    Args:
        cfg: config of a short run with ``runner_type='StagedRunner'``.
        folder: gets a folder per run, in the place of one of an earlier call; trials that end
            well are removed.
        kills: how many.
        seed: chooses the moments (the clock's depend on the machine, too).
        report: gets a line per run.

    Returns:
        The trials.
    """
    whole = folder / 'whole'
    _remove(whole)
    begin = time.monotonic()
    _finish(whole, _fork(whole, _run, cfg, whole, resume=False))
    seconds = time.monotonic() - begin
    moments = (whole / 'moments.txt').read_text().splitlines()
    digest = (whole / RESULT).read_text()
    report(f'undisturbed run: {seconds:.1f} s, {len(moments)} moments, digest {digest}')
    rng = random.Random(seed)
    trials = []
    for number in range(kills):
        trial = _trial(cfg, folder / f'kill_{number}', KINDS[number % len(KINDS)], rng, moments,
                       seconds, digest)
        trials.append(trial)
        report(f'{number + 1:3d} {trial.kind:7s} {trial.where}; resumed from '
               f'{trial.resumed_from}: {"equal" if trial.equal else "DIFFERENT"}')
    return trials


def _trial(cfg: Config, folder: Path, kind: str, rng: random.Random, moments: list[str],
           seconds: float, digest: str) -> Trial:
    """Kill a run in the given way, resume it and compare."""
    saves = [index for index, name in enumerate(moments) if name.startswith('before_save')]
    borders = [index for index, name in enumerate(moments) if '_train_stage' in name]
    options: dict[str, Any] = {}
    if kind == 'moment':
        options['kill_at'] = rng.randrange(len(moments))
    elif kind == 'border':
        options['kill_at'] = rng.choice(borders)
    elif kind == 'write':
        options.update(write=rng.randrange(len(saves)), share=rng.random())
    delay = rng.uniform(0, seconds)
    _remove(folder)
    pid = _fork(folder, _run, cfg, folder, resume=False, **options)
    if kind == 'clock':
        time.sleep(delay)
        os.kill(pid, signal.SIGKILL)
        _finish(folder, pid, (0, -signal.SIGKILL))  # it may just have ended
    else:
        _finish(folder, pid, (-signal.SIGKILL,))
    reached = _lines(folder / 'moments.txt')
    where = f'after {delay:.1f} s: ' if kind == 'clock' else ''
    where += reached[-1] if reached else 'before the first moment'
    if kind == 'write':
        where += f', {options["share"]:.0%} of the file written'
    resumed = _fork(folder, _run, cfg, folder, resume=True)
    _finish(folder, resumed)
    begin = [line for line in _lines(folder / 'output.txt') if 'resume: going on from ' in line]
    source = Path(begin[-1].split('from ')[-1]).name if begin else 'the start'
    equal = (folder / RESULT).read_text() == digest
    if equal:
        shutil.rmtree(folder)
    return Trial(kind, where, source, equal)


def _remove(folder: Path) -> None:
    """Remove what an earlier call left, whose moments would be taken for those of this one."""
    if folder.exists():
        shutil.rmtree(folder)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []

"""A training that is asked to stop writes a checkpoint and goes on to the same bits."""
import copy
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from functools import partial
from multiprocessing import active_children
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from torch.utils.data._utils import signal_handling

from mmsart.engine.hooks.stop_hook import StopHook
from mmsart.engine.runner import stop_request
from mmsart.engine.runner.checkpoint_files import INTERRUPTED, find_resumable
from mmsart.engine.runner.loader_workers import (
    begin_worker,
    end_workers,
    shelter_workers,
)
from mmsart.engine.runner.stop_request import StopRequest
from mmsart.utils import RunStopped, cli, cli_main
from tests.test_engine import toy_run
from tests.test_engine.test_processes import in_two_processes
from tests.test_engine.test_resume import outcome, variants

pytestmark = pytest.mark.usefixtures('no_formatting')


class AskHook(Hook):
    """Do something at the n-th moment of a run, before other hooks look at it."""

    priority = 'HIGHEST'

    def __init__(self, at=None, ask=None):
        self.at, self.ask, self.moments = at, ask, []

    def _tick(self, runner, name):
        self.moments.append(name)
        if len(self.moments) - 1 == self.at:
            self.ask()


for _name in ('after_train_iter', 'after_train_epoch', 'before_val_epoch', 'after_val_iter',
              'after_val_epoch', 'before_train_stage'):
    setattr(AskHook, _name, lambda self, runner, *args, name=_name, **kwargs: self._tick(
        runner, name))


def run(work_dir, ask_hook, request, **changes):
    runner = toy_run.build(work_dir, **copy.deepcopy(changes))
    runner.register_hook(ask_hook)
    runner.register_hook(StopHook(request))
    with request:
        runner.train()
    return runner


def ask(request, signum=signal.SIGINT):
    return lambda: setattr(request, 'signum', signum)


def settings():
    """Those of the tests of kills, and one that validates a folded model between checkpoints."""
    hooks = toy_run.config('')['default_hooks']
    seldom = dict(hooks, checkpoint=dict(hooks['checkpoint'], interval=3))
    return {**variants(), 'folded': dict(
        default_hooks=seldom, custom_hooks=[dict(type='FastInferenceHook')])}


@pytest.mark.parametrize('name', settings())
def test_stopped_anywhere_and_resumed_a_run_ends_in_the_same_bits(tmp_path, name):
    changes = settings()[name]
    moments = AskHook()
    expected = outcome(run(tmp_path / 'whole', moments, StopRequest(), **changes))
    # Another offset for each variant, so that together they meet all kinds of moments.
    for at in range(list(settings()).index(name), len(moments.moments) - 1, 6):
        folder, request = tmp_path / str(at), StopRequest()
        with pytest.raises(RunStopped, match='stopped by SIGINT in epoch') as stop:
            run(folder, AskHook(at, ask(request)), request, **changes)
        assert str(stop.value).endswith(f', as {find_resumable(folder)}; go on with --resume')
        assert not list(folder.glob('.*'))
        resumed = run(folder, AskHook(), StopRequest(), resume='auto', **changes)
        assert outcome(resumed) == expected, (at, moments.moments[at])
        assert not (folder / INTERRUPTED).exists()  # the next checkpoint takes its place
        shutil.rmtree(folder)


@pytest.mark.parametrize('name', ['by epoch', 'by iteration, ema', 'folded'])
def test_a_validation_that_is_broken_off_is_repeated(tmp_path, name, monkeypatch):
    """Averages or a folded model stand in for the weights while it lasts."""
    monkeypatch.setattr(toy_run.ToyModel, 'extract_feat', raising=False, value=lambda self, images:
                        [self.backbone(images[:, :1])])
    changes = settings()[name]
    changes['default_hooks'] = dict(toy_run.config('')['default_hooks'], checkpoint=dict(
        type='AtomicCheckpointHook', interval=99, save_last=False, save_best='score',
        rule='greater'))
    request, hook = StopRequest(), AskHook()
    expected = outcome(run(tmp_path / 'whole', hook, request, **changes))
    at = [number for number, moment in enumerate(hook.moments) if moment == 'after_val_iter'][-2]
    with pytest.raises(RunStopped):
        run(tmp_path / 'cut', AskHook(at, ask(request)), request, **changes)
    again = AskHook()
    resumed = run(tmp_path / 'cut', again, StopRequest(), resume='auto', **changes)
    assert outcome(resumed) == expected
    assert again.moments[:3] == ['before_train_stage', 'before_val_epoch', 'after_val_iter']


@pytest.mark.parametrize(('signum', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_exit_code_is_the_shells(tmp_path, signum, code, capsys):
    request = StopRequest()
    assert cli_main(run)(tmp_path, AskHook(2, ask(request, signum)), request) == code
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == (f'stopped by {signum.name} in epoch 1 after iteration 2, as '
                    f'{tmp_path / INTERRUPTED}; go on with --resume')


def test_a_run_without_stages_goes_on_too(tmp_path):
    plain = dict(train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=3),
                 optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)), param_scheduler=[])
    request = StopRequest()
    with pytest.raises(RunStopped):
        run(tmp_path, AskHook(6, ask(request)), request, **plain)
    assert run(tmp_path, AskHook(), StopRequest(), resume='auto', **plain).epoch == 3


@pytest.fixture
def interruptible():
    """Let Ctrl-C interrupt; in the background a shell has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures('interruptible')
def test_signals_are_noted_once_training_has_begun_and_handlers_come_back(monkeypatch):
    clock = SimpleNamespace(now=50.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(stop_request, 'time', clock)
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest() as request:
        assert signal.getsignal(signal.SIGTERM) == before
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        request.listen()
        os.kill(os.getpid(), signal.SIGINT)
        clock.now += 0.9
        os.kill(os.getpid(), signal.SIGINT)  # the same key, handed on by a launcher
        assert request.signum == signal.SIGINT
        clock.now += 5
        with pytest.raises(RunStopped, match='at once') as stop:
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) == before
    with StopRequest(repeatable=False) as request:
        request.listen()
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
            clock.now += 1e9


def fork(folder, function):
    """Run a function in a process that leads a group of its own, output to a file."""
    folder.mkdir()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        log = os.open(folder / 'output.txt', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.stdout = sys.stderr = os.fdopen(2, 'w')
        torch.set_num_threads(1)
        code = function()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def wait(pid, seconds=300):
    """Give the exit code of a process, which has to end in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return 'it went on'


# An epoch of the toy run: before_train_stage, 4 iterations, after_train_epoch, before_val_epoch,
# 2 iterations of the validation.
@pytest.mark.parametrize(('signum', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(('at', 'checkpoint'), [(2, INTERRUPTED), (7, 'epoch_1.pth')])
def test_a_signal_to_all_processes_of_a_terminal_leaves_the_loaders_workers_alive(
        tmp_path, signum, code, at, checkpoint):
    """Ctrl-C and Slurm reach the workers too; without them no iteration would be finished."""
    loaders = {name: {**toy_run.config(tmp_path)[name], 'num_workers': 2}
               for name in ('train_dataloader', 'val_dataloader')}

    def train():
        group = AskHook(at, lambda: os.killpg(0, signum))
        return cli_main(run)(tmp_path / 'run' / 'work', group, StopRequest(), **loaders)

    pid = fork(tmp_path / 'run', train)
    assert wait(pid) == code, (tmp_path / 'run/output.txt').read_text()[-2000:]
    output = (tmp_path / 'run/output.txt').read_text()
    assert output.splitlines()[-1].endswith(f'{checkpoint}; go on with --resume')
    assert 'Traceback' not in output
    assert output.count('stopping after this iteration') == 1
    assert find_resumable(tmp_path / 'run/work') == str(tmp_path / 'run/work' / checkpoint)


@pytest.mark.parametrize('where', ['train', 'val'])
def test_a_killed_worker_gets_one_line(tmp_path, where):
    """As the kernel kills it when memory is full."""
    loader = {**toy_run.config(tmp_path)[f'{where}_dataloader'], 'num_workers': 1}
    if where == 'val':  # so that the loader is not through before it is hit
        loader['dataset'] = dict(type='ToyDataset', length=999)

    def kill_a_worker():
        next(each for each in active_children() if each._parent_pid == os.getpid()).kill()

    def train():
        hook = AskHook(7 if where == 'val' else 1, kill_a_worker)
        return cli_main(run)(tmp_path / 'run' / 'work', hook, StopRequest(),
                             **{f'{where}_dataloader': loader})

    pid = fork(tmp_path / 'run', train)
    assert wait(pid) == 2
    lines = (tmp_path / 'run/output.txt').read_text().splitlines()
    assert lines[-1].startswith('error: ')
    assert 'DataLoader worker' in lines[-1]
    assert 'num_workers' in lines[-1]
    assert not any('Traceback' in line for line in lines)


def test_a_death_that_torch_hears_of_late_gets_one_line(monkeypatch, capsys):
    """Torch's handler of SIGCHLD raises wherever Python stands, in what tells of it too."""
    def torch_hears(*_):
        raise RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed.')

    def tell(error):
        os.kill(os.getpid(), signal.SIGCHLD)
        return 'a DataLoader worker ended unexpectedly'

    @cli_main
    def lose_a_worker():
        raise ConnectionResetError

    monkeypatch.setattr(cli, '_lost_worker', tell)
    before = signal.signal(signal.SIGCHLD, torch_hears)
    try:
        assert lose_a_worker() == 2
        assert signal.getsignal(signal.SIGCHLD) is torch_hears
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert capsys.readouterr().err.startswith('error: a DataLoader worker ended unexpectedly')


def test_a_death_that_torch_hears_of_just_before_it_is_quiet_gets_one_line(monkeypatch, capsys):
    def torch_hears():
        raise RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed.')

    @cli_main
    def lose_a_worker():
        raise ConnectionResetError

    monkeypatch.setattr(cli, '_torch_quiet', torch_hears)
    assert lose_a_worker() == 2
    assert capsys.readouterr().err.startswith('error: DataLoader worker (pid 7) is killed by')


def stop_one(folder, at):
    """Train in one of two processes, the second of which alone is asked to stop."""
    rank = int(os.environ['RANK'])
    request = StopRequest(repeatable=False)
    hook = AskHook(at if rank else None, ask(request, signal.SIGTERM))
    try:
        run(folder, hook, request, launcher='pytorch')
    except RunStopped as stop:
        return str(stop), stop.exit_code, len(hook.moments)


@pytest.mark.parametrize(('at', 'checkpoint'), [
    (1, INTERRUPTED), (4, 'epoch_1.pth'), (6, 'epoch_1.pth')])  # two iterations an epoch
def test_processes_stop_together_whichever_is_asked(tmp_path, at, checkpoint):
    (first, second), codes = in_two_processes(tmp_path / 'run', stop_one, at)
    assert codes == [0, 0]
    assert first[:2] == second[:2]
    assert first[1] == 143
    assert find_resumable(tmp_path / 'run') == str(tmp_path / 'run' / checkpoint)


@pytest.mark.parametrize('persistent', [True, False])
def test_a_worker_obeys_its_process_alone(persistent):
    loader = torch.utils.data.DataLoader(
        range(1000), num_workers=1, persistent_workers=persistent,
        worker_init_fn=partial(begin_worker, None))
    batches = iter(loader)
    next(batches)
    worker = batches._workers[0]
    for signum in (signal.SIGINT, signal.SIGTERM):  # from another process, as a terminal's
        subprocess.run([sys.executable, '-c', f'import os; os.kill({worker.pid}, {signum:d})'],
                       check=True)
    assert len(list(batches)) == 999
    if persistent:
        assert worker.is_alive()
        worker.terminate()  # as Python does at its end
        worker.join(60)
        assert worker.exitcode == 0
    else:
        worker.join(60)
        assert not worker.is_alive()


@pytest.mark.parametrize('signum', [signal.SIGINT, signal.SIGTERM])
def test_a_worker_that_is_just_beginning_obeys_its_process_alone_too(monkeypatch, signum):
    """Between torch's preparations of a worker, with a handler of SIGTERM, and ours."""
    begun, go = multiprocessing.Event(), multiprocessing.Event()
    prepare = signal_handling._set_worker_signal_handlers

    def hold_up():
        prepare()
        begun.set()
        go.wait()

    monkeypatch.setattr(signal_handling, '_set_worker_signal_handlers', hold_up)
    loader = torch.utils.data.DataLoader(range(9), num_workers=1)
    shelter_workers(loader)
    with StopRequest() as request:
        request.listen()
        batches = iter(loader)
        begun.wait()
        worker = batches._workers[0]
        subprocess.run([sys.executable, '-c', f'import os; os.kill({worker.pid}, {signum:d})'],
                       check=True)
        go.set()
        assert len(list(batches)) == 9


def test_persistent_workers_end_when_a_run_is_stopped():
    loader = torch.utils.data.DataLoader(
        range(9), num_workers=2, persistent_workers=True,
        worker_init_fn=partial(begin_worker, None))
    list(loader)
    workers = loader._iterator._workers
    end_workers(SimpleNamespace(_train_loop=SimpleNamespace(dataloader=loader), _val_loop=dict()))
    for worker in workers:  # torch gives them 5 s, and does not wait for those it has to end
        worker.join(60)
    assert not any(worker.is_alive() for worker in workers)

"""Two processes on the CPU: equal weights, the metric of one process, a death that is noticed."""
import contextlib
import os
import signal
import time
import traceback
from functools import partial
from multiprocessing import get_context

import pytest
import torch
from mmengine.hooks import Hook

from mmsart.engine.runner.rank_check import parameter_digest
from tests.rendezvous import rendezvous
from tests.test_engine import toy_run


def _process(rank, meeting, folder, function, args):
    """Body of a process: join the other one by gloo, call, leave the result in a file."""
    os.environ.update(meeting, RANK=str(rank), LOCAL_RANK=str(rank))
    torch.set_num_threads(1)  # a forked process has none of the threads of its parent
    with open(folder / f'output_{rank}.txt', 'a') as file, contextlib.redirect_stderr(file), \
            contextlib.redirect_stdout(file):
        try:
            torch.save(function(folder, *args), folder / f'result_{rank}.pth')
        except BaseException:
            traceback.print_exc()
            raise


def in_two_processes(folder, function, *args, timeout=300):
    """Call a function in two processes and return (results, exit codes).

    A process that goes on for longer than `timeout` seconds has None for a code.
    """
    folder.mkdir(exist_ok=True)
    context = get_context('fork')  # importing torch again would take longer than the test
    with rendezvous() as meeting:
        processes = [context.Process(target=_process, args=(rank, meeting, folder, function, args))
                     for rank in (0, 1)]
        for process in processes:
            process.start()
        end = time.monotonic() + timeout
        for process in processes:
            process.join(max(0.1, end - time.monotonic()))
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    files = [folder / f'result_{rank}.pth' for rank in (0, 1)]
    results = [torch.load(path, weights_only=False) if path.is_file() else None for path in files]
    return results, codes


class StatesHook(Hook):
    """Keep the weights and the learning rates at each border."""

    priority = 'LOWEST'

    def __init__(self, die_at=None):
        self.states, self.lrs, self.die_at = [], [], die_at

    def before_train_stage(self, runner):
        self._keep(runner)
        self.lrs.append([group['lr'] for group in runner.optim_wrapper.optimizer.param_groups])

    def after_train_stage(self, runner):
        self._keep(runner)

    def _keep(self, runner):
        model = getattr(runner.model, 'module', runner.model)
        self.states.append({name: value.clone() for name, value in model.state_dict().items()})

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.die_at and runner.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def train(folder, launcher='pytorch', die_at=None, **changes):
    hook = StatesHook(die_at)
    runner = toy_run.build(folder, launcher=launcher,
                           custom_hooks=[dict(type='SyncBuffersHook')], **changes)
    runner.register_hook(hook)
    runner.train()
    metrics = runner.val_loop.run()
    model = getattr(runner.model, 'module', runner.model)
    return dict(states=hook.states, lrs=hook.lrs, metrics=metrics, digest=parameter_digest(model))


@pytest.fixture(scope='module')
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pair') / 'run'
    results, codes = in_two_processes(folder, train)
    assert codes == [0, 0], (folder / 'output_0.txt').read_text()[-2000:]
    return folder, results


def test_both_hold_the_same_weights(pair):
    _, (first, second) = pair
    assert len(first['states']) == 4  # both borders of two stages
    for one, other in zip(first['states'], second['states'], strict=True):
        for name in one:
            assert torch.equal(one[name], other[name]), name


def test_frozen_stay_and_all_moves_on_two_processes(pair):
    _, (first, _) = pair
    begin, end, begin_all, end_all = first['states']
    for name in begin:
        assert torch.equal(begin[name], end[name]) == name.startswith('backbone'), name
        assert not torch.equal(begin_all[name], end_all[name]), name
    assert first['lrs'] == [[pytest.approx(0.05 / 4)], [pytest.approx(1e-2), pytest.approx(1e-3)]]


def test_metric_is_that_of_one_process(pair, tmp_path):
    folder, (first, second) = pair
    assert first['metrics'] == second['metrics']
    runner = toy_run.build(tmp_path, load_from=str(folder / 'epoch_4.pth'))
    assert runner.val() == first['metrics']


def test_learning_rates_scale_with_the_total_batch(tmp_path):
    scale = dict(auto_scale_lr=dict(enable=True, base_batch_size=3))
    (result, _), codes = in_two_processes(tmp_path / 'run', _lrs_of_stages, scale)
    assert codes == [0, 0]
    assert result == [[pytest.approx(0.1)], [pytest.approx(2e-2), pytest.approx(2e-3)]]


def _lrs_of_stages(folder, changes):
    stages = toy_run.stages()
    for stage in stages:
        stage['param_scheduler'] = []
    runner = toy_run.build(folder, launcher='pytorch', train_cfg=dict(
        type='StagedTrainLoop', stages=stages), **changes)
    lrs = []
    for index in (0, 1):
        runner.train_loop._enter_stage(index)
        lrs.append([group['lr'] for group in runner.optim_wrapper.optimizer.param_groups])
    return lrs


def test_without_wrapping_again_the_run_would_stop(tmp_path):
    # DDP fixes at construction which gradients it exchanges: the backbone's are not among them.
    _, codes = in_two_processes(tmp_path / 'run', _train_with_the_first_wrapper)
    assert codes == [1, 1]
    output = (tmp_path / 'run' / 'output_0.txt').read_text()
    assert 'parameters differ between processes at the end of stage all' in output


def _train_with_the_first_wrapper(folder):
    runner = toy_run.build(folder, launcher='pytorch')
    wrap, wrappers = runner.wrap_model, []

    def wrap_once(cfg, model):
        wrappers.append(wrappers[0] if wrappers else wrap(cfg, model))
        return wrappers[0]

    runner.wrap_model = wrap_once
    runner.train()


def test_a_death_is_noticed_and_resumed_exactly(pair, tmp_path):
    patient = dict(dist_cfg=dict(backend='gloo', timeout=1800))  # it is not time that tells
    _, codes = in_two_processes(tmp_path / 'run', partial(train, env_cfg=patient), 'pytorch', 6)
    assert codes == [1, -signal.SIGKILL]
    (first, second), codes = in_two_processes(tmp_path / 'run', _resume)
    assert codes == [0, 0]
    assert first['digest'] == second['digest'] == pair[1][0]['digest']


def _resume(folder):
    return train(folder, resume='auto')

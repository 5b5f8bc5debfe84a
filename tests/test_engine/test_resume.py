"""A run that dies anywhere and is resumed ends in the same bits."""
import contextlib
import copy
import random
import shutil

import numpy as np
import pytest
import torch
from mmengine.hooks import EarlyStoppingHook, Hook
from mmengine.runner import Runner

from mmsart.engine.hooks.atomic_checkpoint_hook import AtomicCheckpointHook
from mmsart.engine.runner.checkpoint_files import find_resumable, is_whole
from mmsart.engine.runner.rank_check import parameter_digest
from mmsart.engine.runner.resume_check import check_resume, lr_scaling
from mmsart.engine.runner.stages import read_stages
from mmsart.utils import MissingFileError, UserError
from tests.test_engine import toy_run

pytestmark = pytest.mark.usefixtures('no_formatting')


class Killed(Exception):
    pass


class KillHook(Hook):
    """Raise at the n-th call of any hook point, counted over the run."""

    priority = 'LOWEST'

    def __init__(self, at=None):
        self.at, self.count = at, 0

    def _tick(self, *args, **kwargs):
        if self.count == self.at:
            raise Killed
        self.count += 1

    before_train = before_train_stage = after_train_stage = _tick
    before_train_epoch = after_train_epoch = before_val_epoch = after_val_epoch = _tick
    after_train_iter = before_save_checkpoint = _tick


def outcome(runner):
    """All that a run leaves: weights, statistics, optimizer, schedulers, best score."""
    optimizer = runner.optim_wrapper.optimizer.state_dict()
    values = [*runner.model.state_dict().values(),
              *[value for state in optimizer['state'].values() for value in state.values()]]
    return ([np.asarray(value).tobytes() for value in values],
            [scheduler.state_dict() for scheduler in runner.param_schedulers],
            runner.message_hub.get_info('best_score'), torch.rand(2).tolist(), random.random(),
            np.random.rand())


def kill_and_resume(work_dir, at, later=None, **changes):
    """Run, die at hook call `at`, go on with another runner, changed by `later`."""
    runner = toy_run.build(work_dir, **copy.deepcopy(changes))
    runner.register_hook(KillHook(at))
    with pytest.raises(Killed):
        runner.train()
    runner = toy_run.build(work_dir, resume='auto', **{**copy.deepcopy(changes), **(later or {})})
    runner.train()
    return runner


def variants():
    loader = toy_run.config('')['train_dataloader']
    hooks = toy_run.config('')['default_hooks']
    by_iter = dict(hooks, checkpoint=dict(hooks['checkpoint'], by_epoch=False, interval=3))
    infinite = dict(loader, sampler=dict(type='InfiniteSampler', shuffle=True))
    accumulating = toy_run.stages()
    accumulating[1]['optim_wrapper']['accumulative_counts'] = 3  # an epoch has four batches
    short = toy_run.stages(max_epochs=None, max_iters=6, val_interval=3,
                           ema=dict(type='ExponentialMovingAverage', momentum=0.2))
    short[1]['param_scheduler'] = []
    short[1] = {key: value for key, value in short[1].items() if value is not None}
    loop = dict(type='StagedTrainLoop')
    return {
        'by epoch': {},
        'by iteration': dict(default_hooks=by_iter),
        'infinite': dict(default_hooks=by_iter, train_dataloader=infinite),
        'accumulating': dict(train_cfg=dict(loop, stages=accumulating)),
        'by iteration, ema': dict(default_hooks=by_iter, train_cfg=dict(loop, stages=short)),
    }


@pytest.mark.parametrize('name', variants())
def test_dying_anywhere_changes_nothing(tmp_path, name):
    changes = variants()[name]
    whole = toy_run.build(tmp_path / 'whole', **copy.deepcopy(changes))
    counter = KillHook()
    whole.register_hook(counter)
    whole.train()
    expected = outcome(whole)
    # Another offset for each variant, so that together they meet all kinds of moments.
    for at in range(list(variants()).index(name), counter.count, 7):
        resumed = kill_and_resume(tmp_path / str(at), at, **changes)
        assert outcome(resumed) == expected, at
        assert resumed.iter == whole.iter
        shutil.rmtree(tmp_path / str(at))


def test_workers_do_not_matter(tmp_path):
    loader = toy_run.config(tmp_path)['train_dataloader']
    whole = toy_run.build(tmp_path / 'whole')
    whole.train()
    loader.update(num_workers=2, persistent_workers=True)
    resumed = kill_and_resume(tmp_path / 'killed', 30, later=dict(train_dataloader=loader))
    assert parameter_digest(resumed.model) == parameter_digest(whole.model)
    resumed.train_loop.dataloader._iterator = None  # end the workers before Python collects them


def test_without_a_seed_the_resumed_run_takes_the_first_ones(tmp_path):
    changes = dict(randomness=dict(seed=None))
    seen = []
    for at in (None, 30):  # 30: in the second epoch's end
        runner = toy_run.build(tmp_path, **changes)
        runner.register_hook(KillHook(30 if at is None else None))
        if at is not None:
            runner._resume = True
        with contextlib.suppress(Killed):
            runner.train()
        seen.append((runner.train_loop.batches.seed, runner.train_loop.batches.sampler.seed))
    assert seen[0] == seen[1]


def test_early_stopping_keeps_its_patience(tmp_path):
    stages = toy_run.stages(max_epochs=6)
    stages[1]['optim_wrapper']['optimizer']['lr'] = 0.0
    changes = dict(train_cfg=dict(type='StagedTrainLoop', stages=stages), custom_hooks=[
        dict(type='EarlyStoppingHook', monitor='score', rule='greater', patience=3,
             min_delta=1e-6)])
    whole = toy_run.build(tmp_path / 'whole', **copy.deepcopy(changes))
    whole.train()
    assert 4 < whole.epoch < 8
    resumed = kill_and_resume(tmp_path / 'killed', 72, **changes)
    assert resumed.epoch == whole.epoch
    [hook] = [hook for hook in resumed.hooks if isinstance(hook, EarlyStoppingHook)]
    assert hook.wait_count == 3


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp('finished')
    hooks = toy_run.config('')['default_hooks']
    hooks['checkpoint'].update(max_keep_ckpts=2, save_best=None)
    runner = toy_run.build(folder, default_hooks=hooks)
    runner.train()
    return runner, folder


def test_half_a_checkpoint_is_passed_over(finished, tmp_path, caplog):
    runner, folder = finished
    shutil.copytree(folder, tmp_path / 'copy')
    last = tmp_path / 'copy' / 'epoch_4.pth'
    assert is_whole(last)
    for damage in ('cut', 'changed', 'empty', 'gone'):
        data = bytearray((folder / 'epoch_4.pth').read_bytes())
        if damage == 'changed':
            data[data.index(runner.model.head.fc.weight.detach().numpy().tobytes())] ^= 1
        size = dict(cut=len(data) - 100, changed=len(data), empty=0, gone=0)[damage]
        last.write_bytes(data[:size])
        if damage == 'gone':
            last.unlink()
        (tmp_path / 'copy' / 'last_checkpoint').write_text(str(last))
        assert find_resumable(tmp_path / 'copy', runner.logger) == str(
            tmp_path / 'copy' / 'epoch_3.pth')
    resumed = toy_run.build(tmp_path / 'copy', resume=True)
    resumed.train()
    assert parameter_digest(resumed.model) == parameter_digest(runner.model)


def test_a_moved_work_dir_is_found(finished, tmp_path):
    _, folder = finished
    shutil.copytree(folder, tmp_path / 'moved')
    (tmp_path / 'moved' / 'last_checkpoint').write_text('/nowhere/epoch_4.pth')
    assert find_resumable(tmp_path / 'moved') == str(tmp_path / 'moved' / 'epoch_4.pth')
    assert find_resumable(tmp_path) is None


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    runner = toy_run.build(tmp_path, train_cfg=dict(
        type='StagedTrainLoop', stages=toy_run.stages()[:1]))
    save, calls = torch.save, []

    def interrupted(checkpoint, file):
        calls.append(file)
        if len(calls) == 3:  # epoch 1, its best, epoch 2
            raise Killed
        save(checkpoint, file)

    monkeypatch.setattr(torch, 'save', interrupted)
    with pytest.raises(Killed):
        runner.train()
    # max_keep_ckpts=1, and yet the first one is there until the second is complete
    assert find_resumable(tmp_path) == str(tmp_path / 'epoch_1.pth')
    assert not (tmp_path / 'epoch_2.pth').exists()


def test_only_the_newest_are_kept(finished):
    _, folder = finished
    assert sorted(path.name for path in folder.glob('*.pth')) == ['epoch_3.pth', 'epoch_4.pth']
    assert not list(folder.glob('.*'))


@pytest.mark.parametrize(('change', 'message'), [
    (lambda stages: stages[0].update(max_epochs=5),
     r'stages\[0\].max_epochs: 5 in the config, 2 in the checkpoint; resume with the settings of'),
    (lambda stages: stages[1].update(max_epochs=1),
     r'stages\[1\].max_epochs: 1 in the config, 2 are done in the checkpoint; expected at least 2'),
    (lambda stages: stages[1].update(max_epochs=None, max_iters=9),
     r'stages\[1\].max_epochs: null in the config, 2 in the checkpoint'),
    (lambda stages: stages[0].update(trainable=['head.fc']),
     r'stages\[0\].trainable\[0\]: "head.fc" in the config, "head" in the checkpoint'),
    (lambda stages: stages[1]['optim_wrapper']['optimizer'].update(lr=1.0),
     r'stages\[1\].optim_wrapper.optimizer.lr: 1.0 in the config, 0.01 in the checkpoint'),
    (lambda stages: stages[1]['param_scheduler'].pop(),
     r'stages\[1\].param_scheduler: \[\{'),
    (lambda stages: stages.pop(1), r'stage 2 \("all"\), the config has 1'),
])
def test_other_stages_are_refused_in_one_line(finished, change, message):
    _, folder = finished
    stages = toy_run.stages()
    change(stages)
    runner = toy_run.build(
        folder, resume=True, train_cfg=dict(type='StagedTrainLoop', stages=stages))
    with pytest.raises(UserError, match=message) as caught:
        runner.train()
    assert '\n' not in str(caught.value)


SCALED = dict(enable=True, base_batch_size=6)


@pytest.mark.parametrize(('before', 'after', 'message'), [
    (SCALED, None, r'auto_scale_lr \(--auto-scale-lr\): null in the config, \{"base_batch_size": 6,'
                   r' "batch_size": 3\} in the checkpoint; resume with the settings of the run'),
    (None, SCALED, r'3\} in the config, null in the checkpoint'),
    (SCALED, dict(SCALED, base_batch_size=3), r'base_batch_size: 3 in the config, 6 in the'),
    (SCALED, SCALED, None)])
def test_the_scale_of_learning_rates_is_that_of_the_run(before, after, message):
    """It acts on the stages to come; --auto-scale-lr may be forgotten on the command line."""
    loader = dict(train_dataloader=dict(batch_size=3))
    stage = toy_run.stages()[0]
    state = dict(stages=[read_stages([stage])[0].fingerprint()], stage_index=0, stage_epoch=0,
                 stage_iter=0, lr_scaling=lr_scaling(dict(loader, auto_scale_lr=before)))
    cfg = dict(loader, auto_scale_lr=after, train_cfg=dict(stages=[stage]))
    if message is None:
        check_resume(dict(optimizer={}, stage_state=state), cfg)
        del state['lr_scaling']  # as in checkpoints of earlier versions
        check_resume(dict(optimizer={}, stage_state=state), dict(cfg, auto_scale_lr=None))
        return
    with pytest.raises(UserError, match=message):
        check_resume(dict(optimizer={}, stage_state=state), cfg)


def test_a_checkpoint_tells_the_scale_of_its_learning_rates(tmp_path):
    runner = toy_run.build(tmp_path, auto_scale_lr=SCALED)
    runner.register_hook(KillHook(12))
    with pytest.raises(Killed):
        runner.train()
    later = toy_run.build(tmp_path, resume='auto')
    with pytest.raises(UserError, match='--auto-scale-lr'):
        later.train()


def test_stages_to_come_may_change(finished, tmp_path):
    _, folder = finished
    stages = [*toy_run.stages(), dict(
        name='more', max_epochs=1, optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)))]
    shutil.copytree(folder, tmp_path / 'copy')
    longer = toy_run.build(
        tmp_path / 'copy', resume=True, train_cfg=dict(type='StagedTrainLoop', stages=stages))
    longer.train()
    assert (longer.epoch, longer.iter, longer.max_iters) == (5, 20, 20)


def lrs_of(runner):
    """Note the learning rate of every iteration of a run."""
    rates = []

    class Rates(Hook):
        def after_train_iter(self, runner, *args, **kwargs):
            rates.append(runner.optim_wrapper.get_lr()['lr'][0])

    runner.register_hook(Rates())
    runner.train()
    return rates


PLAIN = dict(train_cfg=dict(by_epoch=True, max_epochs=2), param_scheduler=[
    dict(type='MultiStepLR', milestones=[1, 2, 3], gamma=0.5)],
    optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)))


def longer(settings, epochs):
    """Return the same settings for more epochs."""
    settings = copy.deepcopy(settings)
    train_cfg = settings['train_cfg']
    train_cfg.get('stages', [train_cfg])[-1]['max_epochs'] = epochs
    return settings


@pytest.mark.parametrize('settings', [
    PLAIN,
    {**PLAIN, 'param_scheduler': [dict(type='StepLR', step_size=1, gamma=0.5)]},
    {**PLAIN, 'param_scheduler': [
        dict(type='ExponentialLR', gamma=0.9, by_epoch=False),
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=10)]},
    dict(train_cfg=dict(type='StagedTrainLoop', stages=toy_run.stages()))])
def test_going_on_for_longer_is_as_if_it_had_been_meant_from_the_start(tmp_path, settings):
    whole = lrs_of(toy_run.build(tmp_path / 'whole', **longer(settings, 5)))
    begun = lrs_of(toy_run.build(tmp_path / 'run', **copy.deepcopy(settings)))
    rest = lrs_of(toy_run.build(tmp_path / 'run', resume='auto', **longer(settings, 5)))
    assert begun + rest == pytest.approx(whole, rel=1e-12)


def test_a_curve_over_the_length_of_the_run_stays_at_its_end(tmp_path, caplog):
    settings = {**PLAIN, 'param_scheduler': [dict(type='CosineAnnealingLR', eta_min=0.01)]}
    toy_run.build(tmp_path, **copy.deepcopy(settings)).train()
    resumed = toy_run.build(tmp_path, resume='auto', **longer(settings, 3))
    resumed.logger.addHandler(caplog.handler)
    rates = lrs_of(resumed)
    assert rates == [rates[0]] * 4
    assert ('CosineAnnealingLR was made for a run of 2 epochs, not 3; its last value '
            f'{rates[0]:.3g} is kept from then on') in caplog.text


@pytest.mark.parametrize(('change', 'message'), [
    (dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.5))),
     r'^optim_wrapper.optimizer.lr: 0.5 in the config, 0.1 in the checkpoint; resume with'),
    (dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1), accumulative_counts=2)),
     r'^optim_wrapper.accumulative_counts: 2 in the config, null in the checkpoint'),
    (dict(param_scheduler=[dict(type='MultiStepLR', milestones=[1, 2, 5], gamma=0.5)]),
     r'^param_scheduler\[0\].milestones\[2\]: 5 in the config, 3 in the checkpoint'),
    (dict(param_scheduler=None), r'^param_scheduler: null in the config, \['),
    (dict(train_cfg=dict(type='StagedTrainLoop', stages=toy_run.stages())),
     'not from a run in stages'),
])
def test_a_plain_schedule_does_not_resume_with_other_settings(tmp_path, change, message):
    toy_run.build(tmp_path, **copy.deepcopy(PLAIN)).train()
    runner = toy_run.build(tmp_path, resume='auto', **{**longer(PLAIN, 4), **change})
    with pytest.raises(UserError, match=message):
        runner.train()


def test_stages_do_not_resume_as_a_plain_schedule(finished):
    _, folder = finished
    with pytest.raises(UserError, match='checkpoint is from a run in stages, the config has no'):
        toy_run.build(folder, resume=True, **copy.deepcopy(PLAIN)).train()


def test_a_checkpoint_that_does_not_tell_its_settings_is_named(tmp_path, caplog):
    toy_run.build(tmp_path, **copy.deepcopy(PLAIN)).train()
    checkpoint = torch.load(tmp_path / 'epoch_2.pth', weights_only=False)
    del checkpoint['schedule']
    torch.save(checkpoint, tmp_path / 'epoch_2.pth')
    runner = toy_run.build(tmp_path, resume='auto', **longer(PLAIN, 3))
    runner.logger.addHandler(caplog.handler)
    runner.train()
    assert 'does not say which settings it was made with' in caplog.text


def test_weights_alone_are_refused(tmp_path):
    toy_run.build(tmp_path, train_cfg=dict(
        type='StagedTrainLoop', stages=toy_run.stages()[:1])).train()
    [best] = tmp_path.glob('best_*.pth')
    with pytest.raises(UserError, match='holds weights only'):
        toy_run.build(tmp_path, resume=True, load_from=str(best)).train()


def test_resume_by_path_and_without_a_checkpoint(tmp_path):
    with pytest.raises(MissingFileError, match=r'nowhere\.pth: no such file, expected a che'):
        toy_run.build(tmp_path, resume=True, load_from='nowhere.pth').train()
    runner = toy_run.build(tmp_path, resume='auto', train_cfg=dict(
        type='StagedTrainLoop', stages=toy_run.stages()[:1]))
    runner.train()
    assert runner.iter == 8


def test_plain_schedule_resumes_too(tmp_path):
    changes = dict(train_cfg=dict(by_epoch=True, max_epochs=3), param_scheduler=[],
                   optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)))
    runner = toy_run.build(tmp_path, **copy.deepcopy(changes))
    runner.register_hook(KillHook(9))
    with pytest.raises(Killed):
        runner.train()
    resumed = toy_run.build(tmp_path, resume='auto', **changes)
    resumed.train()
    assert resumed.iter == 12


def test_the_best_checkpoint_outlives_a_failure_to_write_the_next(tmp_path, monkeypatch):
    runner = toy_run.build(tmp_path, train_cfg=dict(
        type='StagedTrainLoop', stages=toy_run.stages()[1:]))
    hook = next(hook for hook in runner.hooks if isinstance(hook, AtomicCheckpointHook))
    hook.save_best = 'score'
    monkeypatch.setattr(toy_run.ToyMetric, 'compute_metrics', lambda self, results: dict(
        error=1.0, score=float(runner.epoch)))
    save = Runner.save_checkpoint

    def full_disk(self, out_dir, filename, *args, **kwargs):
        if 'best' in filename and runner.epoch == 2:
            (tmp_path / filename).write_text('half')
            raise OSError(28, 'No space left on device')
        save(self, out_dir, filename, *args, **kwargs)

    monkeypatch.setattr(Runner, 'save_checkpoint', full_disk)
    with pytest.raises(OSError, match='No space left'):
        runner.train()
    [best] = tmp_path.glob('best_*.pth')
    assert best.name == 'best_score_epoch_1.pth'
    assert is_whole(best)
    assert not list(tmp_path.glob('.*'))


def test_the_best_of_each_of_several_scores_is_kept(tmp_path, monkeypatch):
    values = iter([(4.0, 1.0), (1.0, 3.0), (3.0, 2.0), (2.0, 4.0)])  # the least, the greatest
    monkeypatch.setattr(toy_run.ToyMetric, 'compute_metrics', lambda self, results: dict(
        zip(('error', 'score'), next(values), strict=True)))
    config = toy_run.config(tmp_path)['default_hooks']
    config['checkpoint'].update(save_best=['error', 'score'], rule=['less', 'greater'])
    toy_run.build(tmp_path, default_hooks=config).train()
    assert sorted(path.name for path in tmp_path.glob('best_*.pth')) == [
        'best_error_epoch_2.pth', 'best_score_epoch_4.pth']


def test_only_the_best_of_all_is_kept(tmp_path, monkeypatch):
    scores = iter([1.0, 3.0, 2.0, 4.0])
    monkeypatch.setattr(toy_run.ToyMetric, 'compute_metrics', lambda self, results: dict(
        error=1.0, score=next(scores)))
    seen = []

    class Look(Hook):
        def after_train_epoch(self, runner):
            seen.append([path.name for path in tmp_path.glob('best_*.pth')])

    runner = toy_run.build(tmp_path)
    runner.register_hook(Look())
    runner.train()
    seen.append([path.name for path in tmp_path.glob('best_*.pth')])
    assert seen == [[], *([f'best_score_epoch_{number}.pth'] for number in (1, 2, 2, 4))]


@pytest.mark.parametrize(('given', 'saved', 'chosen'), [
    (None, 2, [2]), (None, 1, []), ('1', 2, [])])
def test_a_run_goes_on_with_as_many_threads_as_it_began(
        tmp_path, monkeypatch, given, saved, chosen):
    """Sums over other numbers of threads are rounded in another order."""
    monkeypatch.delenv('OMP_NUM_THREADS')
    with contextlib.suppress(Killed), monkeypatch.context() as patch:
        patch.setattr(torch, 'get_num_threads', lambda: saved)
        run = toy_run.build(tmp_path)
        run.register_hook(KillHook(20))
        run.train()
    if given:
        monkeypatch.setenv('OMP_NUM_THREADS', given)
    calls = []
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 1)
    monkeypatch.setattr(torch, 'set_num_threads', calls.append)
    toy_run.build(tmp_path, resume='auto').train()
    assert calls == chosen

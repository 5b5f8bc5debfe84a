"""Stages: what is frozen stays to the last bit, what learns moves as declared."""
import copy

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import DATASETS, TRANSFORMS
from torch import nn

from mmsart.engine.hooks.val_loss_hook import ValLossHook
from mmsart.utils import UserError
from tests.test_engine import toy_run


class Recorder(Hook):
    """Keep weights, statistics, learning rates and more as the run goes."""

    priority = 'LOWEST'

    def __init__(self):
        self.states, self.lrs, self.optimizers, self.modes, self.losses = {}, [], [], [], []
        self.grads = []

    def before_train_stage(self, runner):
        self.states[runner.train_loop.stage.name] = copy.deepcopy(runner.model.state_dict())
        self.optimizers.append(runner.optim_wrapper.optimizer)

    def after_train_stage(self, runner):
        name = runner.train_loop.stage.name + ' end'
        self.states[name] = copy.deepcopy(runner.model.state_dict())

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.lrs.append({group['name']: group['lr']
                         for group in runner.optim_wrapper.optimizer.param_groups})
        self.modes.append({name: module.training for name, module in runner.model.named_modules()
                           if isinstance(module, nn.modules.batchnorm._BatchNorm)})

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append(float(outputs['loss']))
        self.grads.append({name for name, parameter in runner.model.named_parameters()
                           if parameter.grad is not None})


def train(work_dir, **changes):
    runner = toy_run.build(work_dir, **changes)
    recorder = Recorder()
    runner.register_hook(recorder)
    runner.train()
    return runner, recorder


@pytest.fixture(scope='module')
def two_stages(tmp_path_factory):
    return train(tmp_path_factory.mktemp('two_stages'))


def test_frozen_stay_to_the_last_bit(two_stages):
    _, recorder = two_stages
    before, after = recorder.states['head'], recorder.states['head end']
    for name, value in before.items():
        assert torch.equal(value, after[name]) == name.startswith('backbone'), name
    assert not any(names & {name for name in before if name.startswith('backbone')}
                   for names in recorder.grads[:8])


def test_everything_moves_in_stage_two(two_stages):
    # The backbone's own frozen_stages=0 would keep conv1 and bn1 at each call of train().
    runner, recorder = two_stages
    before, after = recorder.states['all'], recorder.states['all end']
    assert [name for name in before if torch.equal(before[name], after[name])] == []
    assert runner.model.backbone.frozen_stages == -1
    assert not any(mode for name, mode in recorder.modes[0].items() if 'backbone' in name)
    assert all(recorder.modes[8].values())


def test_first_step_has_the_declared_size(two_stages):
    # Adam's first step is lr * g / (|g| + eps) plus the decay lr * wd * w, per group.
    runner, _ = two_stages
    fresh = toy_run.build(runner.work_dir + '_step', train_cfg=dict(
        type='StagedTrainLoop', stages=[dict(
            name='all', max_iters=1, trainable=['.*'], optim_wrapper=dict(
                optimizer=dict(type='AdamW', lr=1e-2, weight_decay=0.1, eps=1e-12),
                paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1)))))]))
    recorder = Recorder()
    fresh.register_hook(recorder)
    fresh.train()
    before, after = recorder.states['all'], recorder.states['all end']
    for name, lr in (('head.fc.weight', 1e-2), ('backbone.conv1.weight', 1e-3)):
        step = (after[name] - before[name] * (1 - lr * 0.1)).abs()
        torch.testing.assert_close(step, torch.full_like(step, lr), rtol=1e-3, atol=0)


def test_optimizers_hold_what_learns(two_stages):
    runner, recorder = two_stages
    first, second = recorder.optimizers
    assert type(first) is torch.optim.SGD
    assert type(second) is torch.optim.AdamW
    parameters = dict(runner.model.named_parameters())
    names = {id(parameter): name for name, parameter in parameters.items()}
    held = [[names[id(parameter)] for parameter in group['params']]
            for group in first.param_groups]
    assert held == [[name for name in parameters if name.startswith('head')]]
    assert len(first.state) == len(held[0])
    assert [group['name'] for group in second.param_groups] == ['default', 'backbone']
    assert len(second.state) == len(parameters)


def test_lrs_follow_the_stages(two_stages):
    _, recorder = two_stages
    heads = [lr['default'] for lr in recorder.lrs]
    assert heads[:8] == pytest.approx([0.0125, 0.025, 0.0375, 0.05, 0.05, 0.05, 0.05, 0.05])
    assert heads[8:12] == pytest.approx([0.01] * 4)  # a schedule of its own: StepLR from here
    assert heads[12:] == pytest.approx([0.005] * 4)
    for lr in recorder.lrs[8:]:
        assert lr['backbone'] == pytest.approx(0.1 * lr['default'])


def test_counts_cover_all_stages(two_stages, tmp_path):
    runner, _ = two_stages
    assert (runner.max_epochs, runner.max_iters) == (4, 16)
    assert (runner.epoch, runner.iter) == (4, 16)


def test_equal_seeds_give_equal_losses(two_stages, tmp_path):
    _, again = train(tmp_path / 'a')
    _, other = train(tmp_path / 'b', randomness=dict(seed=8))
    assert again.losses == two_stages[1].losses
    assert other.losses != again.losses


def test_stages_by_iterations(tmp_path):
    stages = [dict(name='short', max_iters=6, trainable=['head'], val_interval=4,
                   optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
                   param_scheduler=[dict(type='PolyLR', power=1, eta_min=0, by_epoch=False)]),
              dict(name='long', max_epochs=1,
                   optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.2)))]
    validations = []

    class Watch(Hook):
        def after_val_epoch(self, runner, metrics=None):
            validations.append((runner.epoch, runner.iter))

    runner = toy_run.build(tmp_path, train_cfg=dict(type='StagedTrainLoop', stages=stages))
    assert (runner.max_epochs, runner.max_iters) == (2 + 1, 6 + 4)
    recorder = Recorder()
    runner.register_hook(recorder)
    runner.register_hook(Watch())
    runner.train()
    # The polynomial ends with its stage: 0.1 * (1 - i / 5), zero at its last iteration.
    assert [lr['default'] for lr in recorder.lrs[:6]] == pytest.approx(
        [0.1, 0.08, 0.06, 0.04, 0.02, 0], abs=1e-12)
    assert [lr['default'] for lr in recorder.lrs[6:]] == [0.2] * 4
    assert validations == [(0, 4), (1, 6), (3, 10)]
    assert (tmp_path / 'last_checkpoint').read_text().endswith('epoch_3.pth')


@TRANSFORMS.register_module()
class ToyZeros:
    def __call__(self, results):
        return dict(image=torch.zeros_like(results['image']))


@pytest.mark.parametrize('workers', [0, 1])
def test_pipeline_of_a_stage(tmp_path, workers):
    optim = dict(optimizer=dict(type='SGD', lr=0.1))
    stages = [dict(name='own', max_epochs=1, optim_wrapper=optim),
              dict(name='zeros', max_epochs=1, optim_wrapper=optim,
                   pipeline=[dict(type='ToyZeros')]),
              dict(name='own again', max_epochs=1, optim_wrapper=optim)]
    zeros = []

    class Watch(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            zeros.append(not any(image.any() for image in data_batch['inputs']))

    loader = toy_run.config(tmp_path)['train_dataloader']
    loader.update(num_workers=workers, persistent_workers=workers > 0)
    runner = toy_run.build(tmp_path, train_dataloader=loader,
                           train_cfg=dict(type='StagedTrainLoop', stages=stages))
    runner.register_hook(Watch())
    runner.train()
    assert zeros == [False] * 4 + [True] * 4 + [False] * 4


def test_a_pipeline_that_cannot_be_built_stops_the_run_at_its_start(tmp_path):
    stages = toy_run.stages(pipeline=[dict(type='Nope')])
    runner = toy_run.build(tmp_path, train_cfg=dict(type='StagedTrainLoop', stages=stages))
    with pytest.raises(UserError, match=r'train_cfg\.stages\[1\]\.pipeline: .*Nope'):
        runner.train()
    assert runner.iter == 0


@DATASETS.register_module()
class ToyMixer(toy_run.ToyDataset):
    """Wraps a data set and has transforms itself."""

    def __init__(self):
        super().__init__()
        self.dataset = toy_run.ToyDataset()


def test_a_pipeline_is_refused_where_a_wrapper_has_one_too(tmp_path):
    loader = toy_run.config(tmp_path)['train_dataloader']
    loader.update(dataset=dict(type='ToyMixer'))
    runner = toy_run.build(
        tmp_path, train_dataloader=loader, train_cfg=dict(
            type='StagedTrainLoop', stages=toy_run.stages(pipeline=[dict(type='ToyZeros')])))
    with pytest.raises(UserError, match=r'stages\[1\]\.pipeline: found ToyMixer among the tra'):
        runner.train()


def test_averaged_model_of_a_stage(tmp_path):
    stages = toy_run.stages(ema=dict(type='ExponentialMovingAverage', momentum=0.5))
    stages.append(dict(name='last', max_epochs=1,
                       optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0))))
    weights = []

    class Watch(Hook):
        priority = 'LOWEST'

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            weights.append(runner.model.head.fc.weight.detach().clone())

    runner = toy_run.build(tmp_path, train_cfg=dict(type='StagedTrainLoop', stages=stages))
    runner.register_hook(Watch())
    runner.train()
    average = weights[8]  # the average begins with the weights after the first step
    for weight in weights[9:16]:
        average = 0.5 * average + 0.5 * weight
    torch.testing.assert_close(weights[16], average)  # lr 0: where the last stage began


def test_plain_schedule_stays_usable(tmp_path):
    runner = toy_run.build(
        tmp_path, train_cfg=dict(by_epoch=True, max_epochs=2), param_scheduler=[],
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)))
    runner.train()
    assert runner.iter == 8
    assert (tmp_path / 'epoch_2.pth').is_file()


@pytest.mark.parametrize(('change', 'message'), [
    (dict(max_iters=3), 'either max_epochs or max_iters'),
    (dict(max_epochs=None), 'either max_epochs or max_iters'),
    (dict(max_epochs=0), 'whole number >= 1'),
    (dict(trainable=['(']), r"stages\[1\].trainable: '\(' is not a regular expression"),
    (dict(trainable='head'), "a list of patterns, found 'head'"),
    (dict(trainable=['heads']), r"stage all: the pattern 'heads' matches no parameter"),
    (dict(frozen=['.*']), 'nothing learns'),
    (dict(freeze=['.*']), r"stages\[1\]: unknown key 'freeze'"),
    (dict(optim_wrapper=None), r"stages\[1\]: key 'optim_wrapper' is missing"),
    (dict(name='head'), 'expected unique names'),
])
def test_wrong_stages_give_one_line(tmp_path, change, message):
    stages = toy_run.stages(**change)
    stages[1] = {key: value for key, value in stages[1].items() if value is not None}
    stages[0]['max_epochs'] = 1
    runner = toy_run.build(tmp_path, train_cfg=dict(type='StagedTrainLoop', stages=stages))
    with pytest.raises(UserError, match=message) as caught:
        runner.train()
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(('change', 'message'), [
    (dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=-1))), 'optim_wrapper: ValueError: '),
    (dict(optim_wrapper=dict(optimizer=dict(type='Nope'))), 'optim_wrapper: '),
    (dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=1, lt=1))), 'optim_wrapper: TypeError'),
    (dict(param_scheduler=dict(type='Nope')), 'param_scheduler: KeyError: '),
    (dict(param_scheduler=dict(type='LinearLR', start=2)), 'param_scheduler: TypeError: ')])
def test_what_a_later_stage_cannot_build_is_refused_at_once(tmp_path, change, message):
    runner = toy_run.build(tmp_path, train_cfg=dict(
        type='StagedTrainLoop', stages=toy_run.stages(**change)))
    recorder = Recorder()
    runner.register_hook(recorder)
    with pytest.raises(UserError, match=rf'^train_cfg\.stages\[1\]\.{message}'):
        runner.train()
    assert recorder.losses == []


def test_an_unknown_best_score_is_named(tmp_path):
    hooks = toy_run.config(tmp_path)['default_hooks']
    hooks['checkpoint'].update(save_best='accuracy')
    runner = toy_run.build(tmp_path, default_hooks=hooks)
    with pytest.raises(UserError, match='save_best: found accuracy, expected one of the scores er'):
        runner.train()


@pytest.mark.parametrize('by_epoch', [True, False])
def test_a_schedule_that_outlasts_a_later_stage_is_refused_at_once(tmp_path, by_epoch):
    warm_up = dict(type='LinearLR', start_factor=0.1, by_epoch=by_epoch, begin=999)
    stages = toy_run.stages(param_scheduler=warm_up)
    runner = toy_run.build(tmp_path, train_cfg=dict(type='StagedTrainLoop', stages=stages))
    recorder = Recorder()
    runner.register_hook(recorder)
    with pytest.raises(UserError, match=r'^train_cfg\.stages\[1\]\.param_scheduler\[0\]\.begin: '
                       r'found 999, expected less than \d+, its end or that of the stage$'):
        runner.train()
    assert recorder.losses == []


def test_every_second_validation_of_each_stage_has_a_loss(tmp_path):
    """Counted by the stage's own position, by iterations or epochs, and the run's last one."""
    optimizer = dict(optimizer=dict(type='SGD', lr=0.1))
    stages = [dict(name='iterations', max_iters=11, val_interval=2, optim_wrapper=optimizer),
              dict(name='epochs', max_epochs=5, val_interval=2, optim_wrapper=optimizer)]
    measured = []

    class Watch(Hook):
        def after_val_epoch(self, runner, metrics=None):
            loop = runner.train_loop
            position = loop.stage_epoch if loop.stage.by_epoch else loop.stage_iter
            measured.append((position, ValLossHook(interval=2)._is_due(runner)))

    runner = toy_run.build(tmp_path, train_cfg=dict(type='StagedTrainLoop', stages=stages))
    runner.register_hook(Watch())
    runner.train()
    assert measured == [(2, False), (4, True), (6, False), (8, True), (10, False), (11, True),
                        (2, False), (4, True), (5, True)]


@pytest.mark.parametrize(('val_begin', 'ends'), [(4, None), (5, '4 epochs')])
def test_a_run_that_ends_before_its_first_validation_says_so(tmp_path, caplog, val_begin, ends):
    train_cfg = dict(type='StagedTrainLoop', stages=toy_run.stages(), val_begin=val_begin)
    runner = toy_run.build(tmp_path, train_cfg=train_cfg)
    runner.logger.addHandler(caplog.handler)
    runner.train()
    said = [record.getMessage() for record in caplog.records if 'val_begin' in record.getMessage()]
    assert said == ([] if ends is None else [
        f'train_cfg.val_begin: found {val_begin}, but the last stage ends after {ends}: this run '
        'is not validated, and chooses no best checkpoint'])


@pytest.mark.parametrize('interval', [0, 1.5])
def test_a_senseless_interval_is_refused(tmp_path, interval):
    train_cfg = dict(type='StagedTrainLoop', stages=toy_run.stages(), val_interval=interval)
    with pytest.raises(UserError, match=f'train_cfg.val_interval: found {interval}, expected'):
        toy_run.build(tmp_path, train_cfg=train_cfg).train()

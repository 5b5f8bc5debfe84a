import copy
import random

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook

from mmsart.engine.hooks.val_loss_hook import ValLossHook, mean_losses
from mmsart.utils import UserError
from mmsart.visualization.run_logs import read_run

PIPELINE = [dict(type='CurveToyPack')]


def hook_cfg(**settings):
    return dict(type='ValLossHook', pipeline=PIPELINE, **settings)


def measure(runner, **settings):
    metrics = {}
    ValLossHook(PIPELINE, **settings).after_val_epoch(runner, metrics)
    return metrics


def hand_fit(model, numbers):
    """Mean over images of (prediction - target)^2, the model written out for BN in eval mode."""
    linear, norm = model.backbone
    values = []
    for number in numbers:
        hidden = linear.weight @ torch.tensor([number / 4, 1 - number / 3]) + linear.bias
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        hidden = (hidden - norm.running_mean) * scale + norm.bias
        values.append(((model.head.weight @ hidden + model.head.bias - number * 0.5) ** 2).item())
    return sum(values) / len(values)


def trained(make_runner, **overrides):
    runner = make_runner(**overrides)
    runner.train()
    return runner


def test_equals_hand_computation(make_runner):
    runner = trained(make_runner)
    metrics = measure(runner)
    assert metrics['val_loss/loss_fit'] == pytest.approx(hand_fit(runner.model, range(6, 10)))
    total = metrics['val_loss/loss_fit'] + metrics['val_loss/loss_noise']
    assert metrics['val_loss/loss'] == pytest.approx(total)  # acc is no loss term


def test_repeats_to_the_bit_and_follows_the_seed(make_runner):
    runner = trained(make_runner)
    first = measure(runner)
    torch.rand(5)  # a training goes on in between
    assert measure(runner) == first
    other = measure(runner, seed=1)
    assert other['val_loss/loss_fit'] == first['val_loss/loss_fit']
    assert other['val_loss/loss_noise'] != first['val_loss/loss_noise']


def test_changes_nothing(make_runner):
    runner = trained(make_runner)
    runner.model.train()
    runner.model.backbone[1].eval()  # a frozen layer in a training model stays so
    modes = [module.training for module in runner.model.modules()]
    weights = copy.deepcopy(runner.model.state_dict())
    gradients = [parameter.grad for parameter in runner.model.parameters()]
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    measure(runner)
    assert [module.training for module in runner.model.modules()] == modes
    assert all(torch.equal(weights[key], value)
               for key, value in runner.model.state_dict().items())
    assert [parameter.grad for parameter in runner.model.parameters()] == gradients
    assert random.getstate() == states[0]
    assert np.array_equal(np.random.get_state()[1], states[1])
    assert torch.equal(torch.get_rng_state(), states[2])


def test_training_is_the_same_with_and_without(make_runner):
    weights = [trained(make_runner, custom_hooks=hooks).model.state_dict()
               for hooks in ([], [hook_cfg()])]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_log_holds_the_value_of_each_validation(make_runner):
    """The stock log would show a mean over validations, and repeat values not measured anew."""
    seen = []

    class Spy(Hook):
        priority = 'LOWEST'

        def after_val_epoch(self, runner, metrics=None):
            seen.append({key: value for key, value in metrics.items() if 'val_loss' in key})

    runner = make_runner(custom_hooks=[hook_cfg(interval=2)],
                         train_cfg=dict(by_epoch=True, max_epochs=5, val_interval=1))
    runner.register_hook(Spy())
    runner.train()
    assert [bool(metrics) for metrics in seen] == [False, True, False, True, True]  # and the last
    records = read_run(runner.work_dir).val
    logged = [record.get('val_loss/loss') for record in records]
    assert logged == [metrics.get('val_loss/loss') for metrics in seen]


@pytest.mark.parametrize('num_images', [2, 3])
def test_num_images_spreads_over_the_dataset(make_runner, num_images):
    runner = trained(make_runner)
    metrics = measure(runner, num_images=num_images)
    chosen = {2: [6, 9], 3: [6, 8, 9]}[num_images]
    assert metrics['val_loss/loss_fit'] == pytest.approx(hand_fit(runner.model, chosen))


@pytest.mark.parametrize(('num_images', 'chosen'), [(None, [6, 7, 2, 3]), (3, [6, 2, 3])])
def test_joined_data_sets_are_measured_together(make_runner, num_images, chosen):
    one = dict(type='CurveToyDataset', pipeline=[dict(type='CurveToyPack')], length=2)
    joined = dict(type='ConcatDataset', datasets=[dict(one, offset=6), dict(one, offset=2)])
    runner = make_runner()
    runner.train()
    runner.cfg.val_dataloader.dataset = joined
    metrics = measure(runner, num_images=num_images)
    assert metrics['val_loss/loss_fit'] == pytest.approx(hand_fit(runner.model, chosen))


def test_plateau_scheduler_watches_it(make_runner):
    """A loss that cannot fall, as nothing learns, makes the scheduler act."""
    runner = make_runner(
        custom_hooks=[hook_cfg()],
        train_cfg=dict(by_epoch=True, max_epochs=4, val_interval=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-30)),
        param_scheduler=dict(type='ReduceOnPlateauLR', monitor='val_loss/loss_fit', factor=0.5,
                             patience=0, eps=0, threshold=10.0, threshold_rule='abs'))
    runner.train()
    # The first validation sets the best value, the three after it are no better.
    assert runner.optim_wrapper.get_lr()['lr'] == pytest.approx([1e-30 * 0.5**3], rel=1e-9)


def test_terms_of_some_images_count_as_zero_elsewhere():
    class Model(torch.nn.Module):
        def data_preprocessor(self, batch, training):
            return batch

        def parse_losses(self, losses):
            return None, losses

        def forward(self, value, mode):
            sampled = dict(loss_mask=torch.ones(())) if value else {}
            return dict(loss=torch.tensor(value), **sampled)

    assert mean_losses(Model(), [dict(value=0.0), dict(value=4.0)], seed=0) == dict(
        loss=2.0, loss_mask=0.5)


@pytest.mark.parametrize('settings', [dict(interval=0), dict(num_images=0)])
def test_senseless_settings(settings):
    with pytest.raises(UserError, match=f'{next(iter(settings))}: expected 1 or more, found 0'):
        ValLossHook(PIPELINE, **settings)


def test_needs_validation_data(make_runner):
    runner = make_runner(val_dataloader=None, val_cfg=None, val_evaluator=None)
    with pytest.raises(UserError, match='no val_dataloader'):
        measure(runner)


def test_pipeline_of_the_config(make_runner):
    pipeline = [dict(type='CurveToyPack', scale=2.0)]
    runner = trained(make_runner, val_loss_pipeline=pipeline)
    default, given = {}, {}
    ValLossHook().after_val_epoch(runner, default)
    ValLossHook(pipeline).after_val_epoch(runner, given)
    assert default == given
    assert default != measure(runner)


def test_needs_a_pipeline(make_runner):
    with pytest.raises(UserError, match='neither its own pipeline nor val_loss_pipeline'):
        ValLossHook().after_val_epoch(make_runner(), {})

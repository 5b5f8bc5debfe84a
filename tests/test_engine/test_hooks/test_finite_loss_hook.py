import copy
from pathlib import Path

import pytest
import torch
from mmengine.runner import find_latest_checkpoint

from mmsart.engine.hooks.finite_loss_hook import DivergenceError, not_finite
from mmsart.utils import UserError, cli_main

NAN, INF = float('nan'), float('inf')
HOOKS = [dict(type='FiniteLossHook')]


def poison_at(runner, iteration, act):
    """Let `act(images, losses)` spoil the losses of one iteration (from 1); keep what it saw."""
    seen = {}

    def poison(images, losses):
        if runner.iter + 1 == iteration:
            seen['images'] = images
            seen['weights'] = copy.deepcopy(runner.model.state_dict())
            act(losses)

    runner.model.poison = poison
    return seen


def spoil(value):
    return lambda losses: losses.update(loss_fit=losses['loss_fit'] * value)


def overflowing_step(runner):
    def act(losses):  # loss and gradients stay finite, lr times gradient does not
        runner.optim_wrapper.optimizer.param_groups[0]['lr'] = 1e38
        spoil(1e6)(losses)

    return act


@pytest.mark.parametrize('value', [NAN, INF])
def test_stops_before_the_step(make_runner, value):
    runner = make_runner(custom_hooks=HOOKS)  # 2 iterations per epoch
    seen = poison_at(runner, 4, spoil(value))
    with pytest.raises(DivergenceError) as error:
        runner.train()
    message = str(error.value)
    assert 'iteration 4 (epoch 2): loss is not finite' in message
    assert f'loss_fit={value}' in message
    assert 'loss_noise=0.' in message
    assert f'on images {", ".join(seen["images"])};' in message
    assert 'backbone 0.01, head 0.01' in message
    assert 'epoch_1.pth; try a lower lr' in message
    assert '\n' not in message
    # The weights are those of before; the running statistics follow the forward pass.
    after = runner.model.state_dict()
    assert all(torch.equal(after[key], seen['weights'][key]) for key in after)
    last = Path(find_latest_checkpoint(runner.work_dir))
    assert last.name == 'epoch_1.pth'
    assert not not_finite(torch.load(last, weights_only=False)['state_dict'])


def test_message_goes_to_the_log_too(make_runner):
    runner = make_runner(custom_hooks=HOOKS, log_level='INFO')
    poison_at(runner, 1, spoil(NAN))
    with pytest.raises(UserError):
        runner.train()
    log = next(Path(runner.work_dir).glob('*/*.log')).read_text()
    assert 'loss is not finite' in log
    assert 'last good checkpoint: none yet' in log


def test_stock_training_goes_on_with_nan(make_runner):
    """What the hook is for: without it, NaN weights are trained and saved."""
    runner = make_runner()
    poison_at(runner, 1, spoil(NAN))
    runner.train()
    saved = torch.load(find_latest_checkpoint(runner.work_dir), weights_only=False)
    assert 'head.weight' in not_finite(saved['state_dict'])


def test_gradients_of_a_finite_loss(make_runner):
    runner = make_runner(custom_hooks=HOOKS)
    # The root of zero: value 0, slope infinite.
    seen = poison_at(runner, 2, lambda losses: losses.update(
        loss_root=(runner.model.head.bias[0] * 0).sqrt()))
    with pytest.raises(DivergenceError, match=r'iteration 2 .*gradients are not finite although '
                                              r'the loss is: head\.bias;'):
        runner.train()
    after = runner.model.state_dict()
    assert torch.equal(after['head.bias'], seen['weights']['head.bias'])


def test_overflowing_weights_are_not_saved(make_runner):
    runner = make_runner(
        custom_hooks=HOOKS,
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=1)))

    poison_at(runner, 4, overflowing_step(runner))
    with pytest.raises(DivergenceError, match='weights are not finite: '):
        runner.train()
    assert [path.name for path in Path(runner.work_dir).glob('*.pth')] == ['epoch_1.pth']


def test_overflowing_weights_between_checkpoints_by_iterations(make_runner):
    runner = make_runner(
        custom_hooks=HOOKS, train_cfg=dict(by_epoch=False, max_iters=4, val_interval=10),
        default_hooks=dict(checkpoint=dict(
            type='CheckpointHook', by_epoch=False, interval=1, max_keep_ckpts=1)))
    poison_at(runner, 3, overflowing_step(runner))
    with pytest.raises(DivergenceError, match='weights are not finite'):
        runner.train()
    assert [path.name for path in Path(runner.work_dir).glob('*.pth')] == ['iter_2.pth']


def test_backstop_in_front_of_any_checkpoint(make_runner):
    runner = make_runner(custom_hooks=HOOKS)
    runner.train()
    with torch.no_grad():
        runner.model.backbone[1].running_mean[0] = NAN
    with pytest.raises(DivergenceError, match=r'not saved: backbone\.1\.running_mean'):
        runner.save_checkpoint(runner.work_dir, 'broken.pth')
    assert not (Path(runner.work_dir) / 'broken.pth').exists()


def test_watches_the_optimizer_of_a_later_stage(make_runner):
    runner = make_runner(custom_hooks=HOOKS)

    def act(losses):
        losses['loss_root'] = (runner.model.head.bias[0] * 0).sqrt()

    def change(images, losses):
        if runner.iter == 1:
            runner.optim_wrapper = runner.build_optim_wrapper(
                dict(optimizer=dict(type='AdamW', lr=0.01)))
        if runner.iter == 3:
            act(losses)

    runner.model.poison = change
    with pytest.raises(DivergenceError, match=r'iteration 4 .*gradients'):
        runner.train()


def test_healthy_run_is_untouched(make_runner):
    weights = []
    for hooks in ([], HOOKS):
        runner = make_runner(custom_hooks=hooks)
        runner.train()
        weights.append(runner.model.state_dict())
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert not runner.model._forward_hooks
    assert not runner.optim_wrapper.optimizer._optimizer_step_pre_hooks


def test_steps_left_out_by_the_loss_scaler_are_legitimate(make_runner):
    """With a scaler, overflowing scaled gradients never come to the optimizer."""
    runner = make_runner(custom_hooks=HOOKS)
    scaler = torch.amp.GradScaler('cpu', init_scale=1e38)
    wrapper = runner.build_optim_wrapper(dict(optimizer=dict(type='SGD', lr=0.01)))
    scales = []

    def step(**kwargs):
        scaler.step(wrapper.optimizer)
        scaler.update()
        scales.append(scaler.get_scale())

    wrapper.scale_loss = scaler.scale
    wrapper.step = step
    runner.optim_wrapper = wrapper
    poison_at(runner, 1, spoil(1e6))  # the loss is finite, 1e38 times its gradient is not
    runner.train()
    assert scales[0] == pytest.approx(0.5e38)
    assert not not_finite(runner.model.state_dict())


def test_a_tool_ends_with_one_line_and_code_2(make_runner, capsys):
    runner = make_runner(custom_hooks=HOOKS, log_level='CRITICAL')
    poison_at(runner, 1, spoil(NAN))
    assert cli_main(runner.train)() == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith('error: iteration 1 (epoch 1): loss is not finite: loss=nan, ')

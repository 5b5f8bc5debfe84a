import resource

import pytest
from mmengine.hooks import Hook

from mmsart.visualization.run_logs import read_run

HOOKS = [dict(type='RunScalarsHook')]


def test_logs_the_lr_of_each_part(make_runner):
    runner = make_runner(
        custom_hooks=HOOKS,
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1),
                           paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1)))),
        param_scheduler=dict(type='MultiStepLR', milestones=[1], gamma=0.5))
    runner.train()
    run = read_run(runner.work_dir)
    assert run.series('train', 'lr/head_lr').values == pytest.approx([0.1, 0.1, 0.05, 0.05])
    assert run.series('train', 'lr/backbone_lr').values == pytest.approx(
        [0.01, 0.01, 0.005, 0.005])


def test_frozen_parts_and_stages(make_runner):
    """The loop tells the stage; the rates of a part that a stage froze do not linger."""

    class Freeze(Hook):
        priority = 'HIGHEST'

        def before_train_epoch(self, runner):
            runner.train_loop.stage_index = runner.epoch
            runner.model.backbone.requires_grad_(runner.epoch == 0)

    runner = make_runner(custom_hooks=HOOKS)
    runner.register_hook(Freeze())
    runner.train()
    run = read_run(runner.work_dir)
    assert run.series('train', 'stage').values.tolist() == [0, 0, 1, 1]
    assert run.series('train', 'lr/backbone_lr').values.tolist() == [0.01, 0.01, 0, 0]
    assert run.borders() == [(2, 'stage 2')]


def test_parts_that_split_leave_no_stale_value(make_runner):
    class Split(Hook):
        priority = 'HIGHEST'

        def before_train_epoch(self, runner):
            if runner.epoch == 1:
                modules = runner.model.backbone[0], runner.model.backbone[1], runner.model.head
                runner.optim_wrapper.optimizer.param_groups[:] = [
                    dict(runner.optim_wrapper.optimizer.param_groups[0],
                         params=list(module.parameters()), lr=lr)
                    for module, lr in zip(modules, (0.1, 0.2, 0.3), strict=True)]

    runner = make_runner(custom_hooks=HOOKS)
    runner.register_hook(Split())
    runner.train()
    first, second = (
        {key: value for key, value in read_run(runner.work_dir).train[at].items()
         if key.startswith('lr/')} for at in (0, -1))
    assert first == {'lr/backbone_lr': 0.01, 'lr/head_lr': 0.01}
    assert second == pytest.approx(
        {'lr/backbone.0_lr': 0.1, 'lr/backbone.1_lr': 0.2, 'lr/head_lr': 0.3})


def test_memory_of_the_process(make_runner):
    def peak():  # Linux counts kilobytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10

    before = peak()
    runner = make_runner(custom_hooks=HOOKS)
    runner.train()
    logged = read_run(runner.work_dir).series('train', 'host_memory').values[-1]
    assert before <= logged <= peak()

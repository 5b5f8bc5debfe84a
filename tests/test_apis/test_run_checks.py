"""What a config says of a run beside data and model, and what is refused of it."""
import pytest
from mmengine.config import Config
from torch import nn

import mmsart.registration  # noqa: F401
from mmsart.apis.run_checks import check_schedule, check_settings
from mmsart.utils import UserError

SGD = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
STAGE = dict(name='one', max_epochs=1, optim_wrapper=SGD)


@pytest.mark.parametrize(('parts', 'problem'), [
    ({}, None),
    (dict(log_level='DEBUG', randomness=dict(seed=0), custom_hooks=None, visualizer=None), None),
    (dict(default_hooks=dict(logger=dict(type='LoggerHook', interval=5), timer=None)), None),
    (dict(custom_hooks=[dict(type='mmsart.CurvesHook', priority='LOW', _scope_='mmdet')]), None),
    (dict(log_level='LOUD'), "log_level: found 'LOUD', expected DEBUG, INFO"),
    (dict(log_level=None), 'log_level: found None, expected DEBUG'),
    (dict(randomness=dict(seed='abc')), "randomness.seed: found 'abc', expected a whole number fr"),
    (dict(randomness=dict(seed=-1)), 'randomness.seed: found -1, expected a whole number from 0'),
    (dict(randomness=dict(sed=1)), 'randomness: found sed, expected some of seed, diff_rank_seed'),
    (dict(env_cfg=None), 'env_cfg: found None, expected a dict'),
    (dict(default_hooks=3), 'default_hooks: found 3, expected a dict'),
    (dict(custom_hooks=dict(type='CurvesHook')), 'custom_hooks: found '),
    (dict(custom_hooks=[dict(type='Nope')]), "custom_hooks.0.type: found 'Nope', expected a name "
     'in the registry hook'),
    (dict(default_hooks=dict(timer=dict(type='Nope'))), "default_hooks.timer.type: found 'Nope'"),
    (dict(custom_hooks=[dict(type='CurvesHook'), dict(type='CurvesHook', evry=1)]),
     "custom_hooks.1: got an unexpected keyword argument 'evry', expected what CurvesHook takes"),
    (dict(visualizer=dict(type='Nope')), "visualizer.type: found 'Nope'"),
    (dict(runner_type='Nope'), "runner_type: found 'Nope', expected a name in the registry runner"),
])
def test_settings(parts, problem):
    cfg = Config(parts, cfg_text=' ', filename='config.py')
    if problem is None:
        check_settings(cfg)
        return
    with pytest.raises(UserError) as caught:
        check_settings(cfg)
    assert str(caught.value).startswith(f'config.py: {problem}')


@pytest.mark.parametrize(('parts', 'problem'), [
    (dict(train_cfg=dict(max_epochs=1), optim_wrapper=SGD), None),
    (dict(train_cfg=dict(stages=[STAGE, dict(STAGE, name='two')])), None),
    ({}, 'train_cfg: found None, expected a dict'),
    (dict(train_cfg=dict(type='Nope')), "train_cfg.type: found 'Nope'"),
    (dict(train_cfg=dict(max_epochs=0)), 'train_cfg.max_epochs: found 0, expected a whole number'),
    (dict(train_cfg=dict(stages=[STAGE], val_interval=0)), 'train_cfg.val_interval: found 0, exp'),
    (dict(train_cfg=dict(stages=[])), 'train_cfg.stages: expected a list of stages, found []'),
    (dict(train_cfg=dict(stages=[dict(STAGE, max_epochs=0)])), 'train_cfg.stages[0] (one): expec'),
    (dict(train_cfg=dict(stages=[dict(STAGE, val_interval=0)])),
     'train_cfg.stages[0].val_interval: found 0, expected'),
    (dict(train_cfg=dict(max_epochs=1)), 'optim_wrapper: found None, expected a dict'),
    (dict(train_cfg=dict(max_epochs=1), optim_wrapper=dict(SGD, optimizer=dict(type='SGD', lr=-1))),
     'optim_wrapper: ValueError: Invalid learning rate'),
    (dict(train_cfg=dict(stages=[STAGE, dict(STAGE, name='two', optim_wrapper=dict(
        type='OptimWrapper', optimizer=dict(type='Nope')))])),
     "train_cfg.stages.1.optim_wrapper.optimizer.type: found 'Nope', expected a name in the"),
    (dict(train_cfg=dict(max_epochs=1), optim_wrapper=SGD, param_scheduler=[dict(type='Nope')]),
     "param_scheduler.0.type: found 'Nope', expected a name in the registry"),
    (dict(train_cfg=dict(stages=[STAGE, dict(STAGE, name='two', pipeline=[dict(type='Nope')])])),
     'train_cfg.stages.1.pipeline.0: KeyError: '),
    (dict(train_cfg=dict(stages=[dict(STAGE, pipeline=dict(type='RandomFlip', prob=0.5))])),
     'train_cfg.stages.0.pipeline: found {'),
    (dict(train_cfg=dict(stages=[dict(STAGE, pipeline=[dict(type='RandomFlip', prob=0.5)])]),
          train_dataloader=dict(dataset=dict(type='RepeatDataset', dataset=dict(pipeline=[])))),
     None),
    (dict(train_cfg=dict(stages=[dict(STAGE, pipeline=[dict(type='RandomFlip', prob=0.5)])]),
          train_dataloader=dict(dataset=dict(
              type='MultiImageMixDataset', pipeline=[], dataset=dict(pipeline=[])))),
     'train_cfg.stages.0.pipeline: found MultiImageMixDataset among the training data'),
])
def test_schedules(parts, problem):
    cfg, model = Config(parts, cfg_text=' ', filename='config.py'), nn.Linear(1, 1)
    if problem is None:
        check_schedule(cfg, model)
        return
    with pytest.raises(UserError) as caught:
        check_schedule(cfg, model)
    assert str(caught.value).startswith(f'config.py: {problem}')

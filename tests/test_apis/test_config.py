"""Reading and overriding configs."""
import os
import warnings

import pytest
from mmengine.registry import DefaultScope

from mmsart.apis.checks import data_classes
from mmsart.apis.config import find_metric, load_config
from mmsart.utils import UserError


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('train_cfg = dict(stages=[dict(max_epochs=3)])\n')
    return str(path)


def test_an_override_of_a_key_that_is_there_says_nothing(config):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        cfg = load_config(config, ['train_cfg.stages.0.max_epochs=5'])
    assert cfg.train_cfg.stages[0].max_epochs == 5


@pytest.mark.parametrize(('key', 'guess'), [
    ('train_cfg.stages.0.max_epoch', r' \(did you mean max_epochs\?\)'),
    ('train_cfg.stage.max_epochs', r' \(did you mean stages\?\)'),
    ('train_cfg.stages.0.gamma', ''), ('train_cfg.stages.0.xyz.max_epoch', '')])
def test_an_override_of_a_new_key_is_named(config, key, guess):
    with pytest.warns(UserWarning, match=(
            f'--cfg-options: {key} is new, .*config.py has no such key{guess}$')):
        load_config(config, [f'{key}=5'])


@pytest.mark.parametrize('key', ['optim_wrapper.optimizer.lr', 'param_scheduler.0.gamma'])
def test_rates_belong_to_a_stage(config, key):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        with pytest.raises(UserError, match=(
                rf'{key} has no effect .* in stages, expected train_cfg\.stages\.0\.{key}, and')):
            load_config(config, [f'{key}=0.5'])
    plain = {'type': 'EpochBasedTrainLoop', 'max_epochs': 1}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the file has no such key
        load_config(config, [f'{key.split(".")[0]}={{}}', f'train_cfg={plain}'])


@pytest.mark.parametrize('base', ['a.py', '../{0}/a.py', 'b.py'])
def test_a_config_that_builds_on_itself_is_named(tmp_path, base):
    (tmp_path / 'a.py').write_text(f'_base_ = {[base.format(tmp_path.name)]}\n')
    (tmp_path / 'b.py').write_text("_base_ = ['./a.py', 'mmdet::_base_/default_runtime.py']\n")
    with pytest.raises(UserError, match=r'/a\.py: found it among its own _base_, expected'):
        load_config(str(tmp_path / 'a.py'))


def test_bases_that_two_files_share_are_no_circle(tmp_path):
    for name, bases in (('a', ['b', 'c']), ('b', ['d']), ('c', []), ('d', [])):
        (tmp_path / f'{name}.py').write_text(
            f'_base_ = {[f"{each}.py" for each in bases]}\n{name} = 1\n')
    assert load_config(str(tmp_path / 'a.py')).d == 1


def test_without_workers_none_persist(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('train_dataloader = dict(num_workers=2, persistent_workers=True)\n')
    assert load_config(str(path)).train_dataloader.persistent_workers
    cfg = load_config(str(path), ['train_dataloader.num_workers=0'])
    assert not cfg.train_dataloader.persistent_workers


def test_tiles_are_a_key_of_predictions(config):
    with pytest.warns(UserWarning, match='tiles.overlap is new'):
        assert load_config(config, ['tiles.overlap=256']).tiles.overlap == 256


def test_classes_in_mmengines_newer_style_are_read_by_their_names(tmp_path):
    path = tmp_path / 'newer.py'
    (tmp_path / 'base.py').write_text('''
from mmengine.dataset import DefaultSampler
from torch.optim import SGD

default_scope = None
optim_wrapper = dict(optimizer=dict(type=SGD, lr=0.1))
train_dataloader = dict(batch_size=3, sampler=dict(type=DefaultSampler))
''')
    path.write_text('''
from mmengine.config import read_base
from mmsart.datasets.checked_coco import CheckedCocoDataset
from mmsart.datasets.transforms import LoadCachedImage
from mmsart.evaluation.metrics import SartoriusMetric
from tests.test_apis.test_config import Own

with read_base():
    from .base import *

train_dataloader.update(dataset=dict(
    type=CheckedCocoDataset, metainfo=dict(classes=('cell',)),
    pipeline=[dict(type=LoadCachedImage), dict(type=Own)]))
val_evaluator = [dict(type=SartoriusMetric, postprocess=dict(score_thr=.3))]
''')
    cfg = load_config(str(path), ['train_dataloader.batch_size=5'])
    assert cfg.train_dataloader.batch_size == 5
    assert cfg.train_dataloader.sampler.type == 'DefaultSampler'
    assert cfg.train_dataloader.dataset.type == 'CheckedCocoDataset'
    assert [step.type for step in cfg.train_dataloader.dataset.pipeline] == [
        'LoadCachedImage', f'{__name__}.Own']
    assert cfg.optim_wrapper.optimizer.type == 'SGD'
    assert cfg.default_scope == 'mmdet'
    assert find_metric(cfg, 'val_evaluator').postprocess == dict(score_thr=.3)
    assert data_classes(cfg, 'train_dataloader') == ('cell',)


class Own:
    """A transform that no registry knows."""


def test_reading_touches_nothing(config, monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    environment = dict(os.environ)
    scope = DefaultScope.get_current_instance()
    load_config(config)
    assert os.environ == environment
    assert DefaultScope.get_current_instance() is scope


def test_a_config_of_mmdet_2_is_named(tmp_path):
    path = tmp_path / 'old.py'
    path.write_text("""
data = dict(samples_per_gpu=2, train=dict(type='CocoDataset'))
optimizer = dict(type='SGD', lr=0.02)
lr_config = dict(policy='step', step=[8, 11])
""")
    with pytest.raises(UserError, match=(
            r'old\.py: looks like a config of mmdet 2\.x \(found data, optimizer, lr_config\), '
            r'expected one of mmdet 3\.x')):
        load_config(str(path))


def test_a_variable_of_an_old_name_is_no_old_config(tmp_path):
    path = tmp_path / 'new.py'
    path.write_text("""
data = dict(type='CocoDataset')
optimizer = dict(type='SGD', lr=0.02)
train_dataloader = dict(dataset=data)
""")
    assert load_config(str(path)).train_dataloader.dataset.type == 'CocoDataset'

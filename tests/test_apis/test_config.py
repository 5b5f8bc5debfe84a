"""Reading and overriding configs."""
import os
import warnings

import pytest
from mmengine.registry import DefaultScope

from mmsart.apis.config import load_config
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


@pytest.mark.parametrize('key', ['train_cfg.stages.0.max_epoch', 'train_cfg.stage.max_epochs'])
def test_an_override_of_a_new_key_is_named(config, key):
    with pytest.warns(UserWarning, match=f'--cfg-options: {key} is new, .*config.py has no such'):
        load_config(config, [f'{key}=5'])


def test_without_workers_none_persist(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('train_dataloader = dict(num_workers=2, persistent_workers=True)\n')
    assert load_config(str(path)).train_dataloader.persistent_workers
    cfg = load_config(str(path), ['train_dataloader.num_workers=0'])
    assert not cfg.train_dataloader.persistent_workers


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

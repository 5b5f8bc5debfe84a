"""Reading and overriding configs."""
import warnings

import pytest

from mmsart.apis.runs import load_config


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

"""Both stages of a Mask R-CNN through the project's own bases, twice."""
import pytest
import torch
from mmengine.registry import RUNNERS

from mmsart.apis.config import load_config
from tests.test_engine.test_staged_loop import Recorder
from tests.test_engine.tiny_detector import write_config


@pytest.fixture(scope='module')
def twice(tmp_path_factory):
    folder = tmp_path_factory.mktemp('detector')
    path, recorders = write_config(folder), []
    for name in ('first', 'second'):
        cfg = load_config(str(path), work_dir=str(folder / name))
        cfg.experiment_name = f'detector_{name}'
        cfg.train_cfg.stages[1].max_epochs = 1
        object.__setattr__(cfg, '_format_python_code', False)  # as long as the training itself
        runner = RUNNERS.build(cfg)
        recorders.append(Recorder())
        runner.register_hook(recorders[-1])
        runner.train()
    return recorders


def test_heads_alone_learn_then_everything(twice):
    states = twice[0].states
    for name, value in states['heads'].items():
        same = torch.equal(value, states['heads end'][name])
        assert same == (not name.startswith('roi_head')), name
    unmoved = [name for name, value in states['all'].items()
               if torch.equal(value, states['all end'][name])]
    assert unmoved == []
    assert [group['name'] for group in twice[0].optimizers[1].param_groups] == [
        'default', 'backbone']
    assert twice[0].lrs[-1] == {'default': pytest.approx(1e-3), 'backbone': pytest.approx(1e-4)}


def test_equal_seeds_give_equal_losses(twice):
    assert twice[0].losses == twice[1].losses
    assert len(twice[0].losses) == 4

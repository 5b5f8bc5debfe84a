"""A packaged model on the data of a config: whose steps read, and whose change images."""
import hashlib

import pytest
from mmengine.config import Config

from mmsart.apis.zoo_model import take_zoo_model
from mmsart.utils import UserError
from mmsart.zoo import ZooModel


@pytest.fixture
def zoo(tmp_path):
    folder = tmp_path / 'small'
    folder.mkdir()
    (folder / 'weights.safetensors').write_bytes(b'weights')
    (folder / 'config.py').write_text(
        "model = dict(type='MaskRCNN')\ntest_pipeline = [dict(type='LoadImageFromFile'), "
        "dict(type='mmdet.Resize', scale=64), dict(type='PackDetInputs')]\n")
    digest = hashlib.sha256(b'weights').hexdigest()
    return ZooModel(folder, dict(classes=['cell'], sha256=digest))


def config(path, *types):
    path.write_text(
        "test_dataloader = dict(dataset=dict(type='mmdet.CocoDataset', metainfo=dict("
        f"classes=('cell',)), pipeline=[dict(type=name) for name in {types}]))\n")
    return Config.fromfile(path)


@pytest.mark.parametrize('scope', ['', 'mmdet.'])
def test_steps_that_read_are_the_datas(zoo, tmp_path, scope):
    cfg = config(tmp_path / 'data.py', f'{scope}LoadImageFromFile', f'{scope}RandomFlip',
                 f'{scope}LoadAnnotations', f'{scope}PackDetInputs')
    assert take_zoo_model(cfg, zoo) == str(zoo.weights)
    assert [step.type for step in cfg.test_dataloader.dataset.pipeline] == [
        f'{scope}LoadImageFromFile', 'mmdet.Resize', f'{scope}LoadAnnotations',
        f'{scope}PackDetInputs']


def test_a_pipeline_that_loads_nothing_is_named(zoo, tmp_path):
    with pytest.raises(UserError, match=r'data.py: test_dataloader: pipeline: found no step that '
                                        'loads an image'):
        take_zoo_model(config(tmp_path / 'data.py', 'PackDetInputs'), zoo)

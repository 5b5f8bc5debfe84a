"""Configs elsewhere that build on those of the package."""
from pathlib import Path

import pytest
from mmdet.registry import DATASETS, HOOKS, MODELS

import mmsart
from mmsart.apis.config import load_config
from mmsart.datasets.sartorius import SartoriusDataset
from mmsart.utils import MissingFileError

CONFIGS = Path(__file__).parents[1] / 'configs'
NAMES = [str(path.relative_to(CONFIGS)) for path in sorted(CONFIGS.glob('[!_]*/*.py'))]


def without_scope(node):
    """Drop what mmengine notes about the package that a part of a config comes from."""
    if isinstance(node, dict):
        return {key: without_scope(value) for key, value in node.items() if key != '_scope_'}
    if isinstance(node, list | tuple):
        return [without_scope(item) for item in node]
    return node


@pytest.mark.parametrize('name', NAMES)
def test_a_config_elsewhere_inherits_everything(name, tmp_path):
    (tmp_path / 'own.py').write_text(f"_base_ = 'mmsart::{name}'\n")
    own = load_config(str(tmp_path / 'own.py'), work_dir='x')
    assert without_scope(own.to_dict()) == without_scope(
        load_config(str(CONFIGS / name), work_dir='x').to_dict())


def test_a_config_of_the_package_may_be_named_itself():
    name = 'sartorius/maskrcnn_lite_cpu.py'
    assert load_config(f'mmsart::{name}').to_dict() == load_config(str(CONFIGS / name)).to_dict()


def test_one_that_is_not_there_is_an_error_that_names_the_folder():
    folder = Path(mmsart.__file__).parent / '.mim' / 'configs'
    with pytest.raises(MissingFileError, match=f'mmsart::x.py: no such file, .* {folder}'):
        load_config('mmsart::x.py')


def test_parts_of_an_inherited_config_are_built(tmp_path, write_table, caplog):
    root = write_table([{}, dict(id='b')])
    (tmp_path / 'own.py').write_text(
        "_base_ = 'mmsart::demo/maskrcnn_r18_two_stage.py'\n"
        "model = dict(backbone=dict(base_channels=8), neck=dict(in_channels=[8, 16, 32, 64]))\n")
    cfg = load_config(str(tmp_path / 'own.py'))
    assert cfg.model['_scope_'] == 'mmsart'
    assert type(MODELS.build(cfg.model).roi_head).__name__ == 'CroppedMaskRoIHead'
    with HOOKS.switch_scope_and_registry('mmsart') as registry:
        for hook in [*cfg.custom_hooks, *cfg.default_hooks.values()]:
            assert registry.get(hook['type']) is not None
    dataset = DATASETS.build(dict(
        type='mmsart.SartoriusDataset', data_root=str(root), ann_file='train.csv',
        data_prefix=dict(img='train')))
    assert isinstance(dataset, SartoriusDataset)
    assert 'Failed to search registry' not in caplog.text

"""Reading and overriding configs."""
import warnings

import pytest

import mmsart.registration  # noqa: F401
from mmsart.apis.runs import _choose_postprocess, check_data, load_config
from mmsart.apis.runs import test as run_test
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


METRIC = "test_evaluator = val_evaluator = dict(type='SartoriusMetric', postprocess=dict({}))\n"


@pytest.mark.parametrize(('options', 'given', 'beside', 'expected'), [
    ((), None, False, dict(score_thr=0.3)),
    ((), None, True, 'beside'),
    ((), 'mine.json', True, 'mine.json'),
    (['val_evaluator.postprocess.score_thr=0.7'], None, True, dict(score_thr=0.7)),
    (['test_evaluator.postprocess.score_thr=0.7'], None, True, dict(score_thr=0.7)),
    (['val_evaluator.postprocess.score_thr=0.7'], 'mine.json', True, 'mine.json'),
    (['val_evaluator.format_only=True'], None, True, 'beside')])
def test_which_postprocessing_a_test_uses(tmp_path, options, given, beside, expected):
    """What is said on the command line comes first, then the file of the work dir."""
    path = tmp_path / 'config.py'
    path.write_text(METRIC.format('score_thr=0.3'))
    file = tmp_path / 'postprocess.json'
    if beside:
        file.write_text('{}')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # format_only is new in this config
        cfg = load_config(str(path), options)
    found = _choose_postprocess(cfg, str(tmp_path / 'epoch_1.pth'), given)
    assert found == (str(file) if expected == 'beside' else expected)


def test_a_config_without_a_part_is_named(config):
    cfg = load_config(config)
    with pytest.raises(UserError, match=r'config\.py: train_dataloader: found None, expected'):
        check_data(cfg, ('train_dataloader',))
    cfg.train_dataloader = []
    with pytest.raises(UserError, match=r'config\.py: train_dataloader: found \[\], expected'):
        check_data(cfg, ('train_dataloader',))
    with pytest.raises(UserError, match=r'config\.py: test_evaluator: found None, expected'):
        _choose_postprocess(cfg, 'epoch_1.pth', None)


@pytest.mark.parametrize(('dataset', 'message'), [
    ("dict(type='Nope', data_root='')", r"dataset\.type: found 'Nope', expected the name of"),
    ("dict(type='SartoriusDataset', data_root='', indices='abc')", "indices: found 'abc'"),
    ("dict(type='SartoriusDataset', data_root='', indices=[])", r'indices: found \[\]'),
    ("dict(type='SyntheticDataset', data_root='', pipeline=[dict(type='Nope')])",
     r'train_dataloader\.dataset\.pipeline\.0: .*Nope'),
    ("dict(type='SyntheticDataset', data_root='', pipeline=[dict(type='Resize', sale=2)])",
     r'train_dataloader\.dataset\.pipeline\.0: ')])
def test_a_wrong_dataset_or_transform_is_named_before_the_run(tmp_path, dataset, message):
    path = tmp_path / 'config.py'
    path.write_text(f'train_dataloader = dict(dataset={dataset})\n')
    with pytest.raises(UserError, match=message):
        check_data(load_config(str(path)), ('train_dataloader',))


def test_a_launcher_without_its_environment_is_named(config, monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    with pytest.raises(UserError, match='--launcher pytorch: RANK is not set, expected a start'):
        load_config(config, launcher='pytorch')


@pytest.mark.parametrize(('launcher', 'variable'), [
    ('slurm', 'SLURM_PROCID'), ('mpi', 'OMPI_COMM_WORLD_RANK')])
def test_launchers_for_gpus_are_refused_without_one(config, monkeypatch, launcher, variable):
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError, match=f'--launcher {launcher}: {variable} is not set, expected'):
        load_config(config, launcher=launcher)
    monkeypatch.setenv(variable, '0')
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    with pytest.raises(UserError, match=f'--launcher {launcher}: found no GPU'):
        load_config(config, launcher=launcher)


def test_without_workers_none_persist(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('train_dataloader = dict(num_workers=2, persistent_workers=True)\n')
    assert load_config(str(path)).train_dataloader.persistent_workers
    cfg = load_config(str(path), ['train_dataloader.num_workers=0'])
    assert not cfg.train_dataloader.persistent_workers


@pytest.mark.parametrize('loader', ['', 'test_dataloader = dict(dataset=dict(data_root=""))'])
def test_a_folder_needs_a_pipeline(tmp_path, loader):
    path = tmp_path / 'config.py'
    path.write_text(f'test_evaluator = dict(type="SartoriusMetric")\n{loader}\n')
    (tmp_path / 'net.pth').write_text('')
    with pytest.raises(UserError, match=r'test_dataloader: found (None|no pipeline), expected'):
        run_test(load_config(str(path)), str(tmp_path / 'net.pth'), images=str(tmp_path))

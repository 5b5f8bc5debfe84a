"""What is refused before a run writes anything."""
import pytest

import mmsart.registration  # noqa: F401
from mmsart.apis.checks import check_data, check_launcher, check_save_best
from mmsart.apis.config import load_config
from mmsart.utils import UserError


def test_a_config_without_a_part_is_named(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('')
    cfg = load_config(str(path))
    with pytest.raises(UserError, match=r'config\.py: train_dataloader: found None, expected'):
        check_data(cfg, ('train_dataloader',))
    cfg.train_dataloader = []
    with pytest.raises(UserError, match=r'config\.py: train_dataloader: found \[\], expected'):
        check_data(cfg, ('train_dataloader',))


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


def test_a_launcher_without_its_environment_is_named(monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    with pytest.raises(UserError, match='--launcher pytorch: RANK is not set, expected a start'):
        check_launcher('pytorch')


@pytest.mark.parametrize(('launcher', 'variable'), [
    ('slurm', 'SLURM_PROCID'), ('mpi', 'OMPI_COMM_WORLD_RANK')])
def test_launchers_for_gpus_are_refused_without_one(monkeypatch, launcher, variable):
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError, match=f'--launcher {launcher}: {variable} is not set, expected'):
        check_launcher(launcher)
    monkeypatch.setenv(variable, '0')
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    with pytest.raises(UserError, match=f'--launcher {launcher}: found no GPU'):
        check_launcher(launcher)


@pytest.mark.parametrize(('save_best', 'good'), [
    ('auto', True), ('coco/segm_mAP', True), ('val_loss/loss', True), (None, True),
    ('sartorius/mAP', False), (['coco/segm_mAP', 'sartorius/mAP'], False)])
def test_the_best_is_chosen_by_a_score_that_there_is(tmp_path, save_best, good):
    path = tmp_path / 'config.py'
    path.write_text(f'default_hooks = dict(checkpoint=dict(save_best={save_best!r}))\n'
                    "val_evaluator = dict(type='CocoMetric')\n")
    cfg = load_config(str(path))
    if good:
        check_save_best(cfg)
        return
    with pytest.raises(UserError, match=r'found sartorius/mAP, expected .*\(coco, val_loss/'):
        check_save_best(cfg)

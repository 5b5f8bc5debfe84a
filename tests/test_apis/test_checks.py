"""What is refused before a run writes anything."""
import pytest
from mmdet.registry import DATASETS
from mmengine.config import Config

import mmsart.registration  # noqa: F401
from mmsart.apis import checks
from mmsart.apis.checks import (
    VARIABLES,
    check_checkpoint,
    check_data,
    check_launcher,
    check_model,
    check_save_best,
    check_val_loss,
    data_classes,
)
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


def test_a_data_set_under_a_wrapper_is_checked_too(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text("""
train_dataloader = dict(dataset=dict(type='RepeatDataset', times=2, dataset=dict(
    type='ConcatDataset', datasets=[dict(type='SyntheticDataset'), dict(type='Nope')])))
""")
    with pytest.raises(UserError, match=r"train_dataloader\.dataset\.type: found 'Nope'"):
        check_data(load_config(str(path)), ('train_dataloader',))


def test_joined_data_sets_number_their_cells_alike(tmp_path):
    """Each has its own list of classes, and a label is a place in it."""
    path = tmp_path / 'config.py'
    path.write_text("""
train_dataloader = dict(dataset=dict(type='ConcatDataset', datasets=[
    dict(type='SyntheticDataset', metainfo=dict(classes=('cort', 'astro'))),
    dict(type='SyntheticDataset', metainfo=dict(classes=('astro', 'cort')))]))
""")
    with pytest.raises(UserError, match=r'train_dataloader\.dataset: found the classes cort, '
                                        'astro in one data set and astro, cort in another'):
        check_data(load_config(str(path)), ('train_dataloader',))


def test_joined_data_sets_of_other_palettes_are_one(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text("""
one = dict(type='SyntheticDataset', length=2, size=(64, 64), pipeline=[])
train_dataloader = dict(dataset=dict(type='ConcatDataset', datasets=[
    one, dict(one, metainfo=dict(palette=[(1, 2, 3)] * 3, microscope=2))]))
""")
    cfg = load_config(str(path))
    check_data(cfg, ('train_dataloader',))
    joined = DATASETS.build(cfg.train_dataloader.dataset)
    assert len(joined) == 4
    assert tuple(joined.metainfo['classes']) == OURS


ROI = """
model = dict(
    roi_head=dict(bbox_head=dict(num_classes={0}), mask_head=dict(num_classes={1})),
    {2})
"""
OURS = ('shsy5y', 'astro', 'cort')


@pytest.fixture
def head_config(tmp_path):
    """Return a function that writes a detector's config with class counts in its heads."""
    def write(text, base='mask-rcnn_r50_fpn', data='train_dataloader'):
        path = tmp_path / 'config.py'
        path.write_text(f"_base_ = ['mmdet::_base_/models/{base}.py']\n{text}")
        return load_config(str(path))
    return write


DATA = "train_dataloader = dict(dataset=dict(type='SartoriusDataset'{}))\n"


@pytest.mark.parametrize(('bbox', 'mask', 'place', 'found'), [
    (1, 1, 'bbox_head', 1), (2, 2, 'bbox_head', 2), (3, 1, 'mask_head', 1), (4, 4, 'bbox_head', 4),
    (80, 80, 'bbox_head', 80)])
def test_another_class_count_than_the_datas_is_named(head_config, bbox, mask, place, found):
    cfg = head_config(ROI.format(bbox, mask, '') + DATA.format(''))
    with pytest.raises(UserError, match=(
            rf'config\.py: model\.roi_head\.{place}\.num_classes: found {found}, expected 3 '
            r'\(shsy5y, astro, cort\), the classes of train_dataloader')):
        check_model(cfg, ('train_dataloader',))


@pytest.mark.parametrize(('classes', 'kind'), [
    (OURS, 'SartoriusDataset'), (('cell',), 'SartoriusDataset'), (('a', 'b'), 'CocoDataset')])
def test_the_classes_are_those_of_the_datas_metainfo(head_config, classes, kind):
    count = len(classes)
    cfg = head_config(ROI.format(count, count, '') + (
        f"train_dataloader = dict(dataset=dict(type='RepeatDataset', dataset=dict(\n"
        f"    type={kind!r}, metainfo=dict(classes={classes}))))\n"))
    assert data_classes(cfg, 'train_dataloader') == classes
    check_model(cfg, ('train_dataloader',))


@pytest.mark.parametrize(('base', 'override', 'place'), [
    ('retinanet_r50_fpn', 'bbox_head=dict(num_classes={})', 'bbox_head'),
    ('cascade-mask-rcnn_r50_fpn', 'roi_head=dict(mask_head=dict(num_classes={}))',
     r'roi_head\.bbox_head\.0')])
def test_other_detectors_are_held_to_the_data_too(head_config, base, override, place):
    cfg = head_config(f'model = dict({override.format(5)})\n' + DATA.format(''), base)
    with pytest.raises(UserError, match=rf'model\.{place}\.num_classes: found (5|80), expected 3'):
        check_model(cfg, ('train_dataloader',))


def test_the_stages_of_the_packages_own_cascade_are_held_to_the_data_too():
    cfg = load_config('configs/sartorius/cascade_mobilenetv2.py',
                      ['model.roi_head.bbox_head.1.num_classes=2'])
    with pytest.raises(UserError, match=(
            r'model\.roi_head\.bbox_head\.1\.num_classes: found 2, expected 3')):
        check_model(cfg, ('train_dataloader',))


def test_an_rpn_tells_objects_from_background_only(head_config):
    """A RetinaHead as RPN has one class, whatever the data's."""
    cfg = head_config(ROI.format(3, 3, 'rpn_head=dict(num_classes=1)') + DATA.format(''))
    check_model(cfg, ('train_dataloader',))


def test_the_config_beside_a_checkpoint_of_another_model_is_named(tmp_path, monkeypatch):
    def refuse(checkpoint, model):
        raise UserError(f'{checkpoint}: found shape (1,), expected (2,)')
    monkeypatch.setattr('mmsart.apis.checks.check_checkpoint_fits', refuse)
    path = tmp_path / 'config.py'
    path.write_text('model = dict()\n')
    work_dir = tmp_path / 'run'
    work_dir.mkdir()
    cfg = load_config(str(path))
    with pytest.raises(UserError, match=r'expected \(2,\)$'):
        check_checkpoint(cfg, str(work_dir / 'epoch_1.pth'))
    (work_dir / 'demo.py').write_text('')
    with pytest.raises(UserError, match=r'expected \(2,\)$'):  # a folder of anything
        check_checkpoint(cfg, str(work_dir / 'epoch_1.pth'))
    (work_dir / 'last_checkpoint').write_text('epoch_1.pth')
    with pytest.raises(UserError, match=r'\(2,\); its own config is .*/run/demo\.py$'):
        check_checkpoint(cfg, str(work_dir / 'epoch_1.pth'))
    (work_dir / 'circle.py').write_text('')  # which of them is it?
    with pytest.raises(UserError, match=r'expected \(2,\)$'):
        check_checkpoint(cfg, str(work_dir / 'epoch_1.pth'))
    with pytest.raises(UserError, match=r'expected \(2,\)$'):
        check_checkpoint(cfg, str(tmp_path / 'epoch_1.pth'))


@pytest.mark.parametrize(('backend', 'package'), [
    ('WandbVisBackend', 'wandb'), ('mmengine.MLflowVisBackend', 'mlflow'),
    ('TensorboardVisBackend', 'tensorboard'), ('LocalVisBackend', None)])
def test_a_logger_without_its_package_is_named(tmp_path, monkeypatch, backend, package):
    config = tmp_path / 'config.py'
    config.write_text('')
    cfg = load_config(str(config))
    cfg.visualizer = dict(type='DetLocalVisualizer', vis_backends=[
        dict(type='LocalVisBackend'), dict(type=backend)])
    monkeypatch.setattr(checks, 'find_spec', lambda name: object())
    checks.check_loggers(cfg)
    monkeypatch.setattr(checks, 'find_spec', lambda name: None)
    if package is None:
        checks.check_loggers(cfg)
        return
    with pytest.raises(UserError) as refusal:
        checks.check_loggers(cfg)
    assert str(refusal.value) == (
        f"{config}: visualizer.vis_backends.1.type: found '{backend}', expected its package "
        f'{package} to be installed; run: pip install {package}')


def test_an_unknown_logger_is_named():
    cfg = Config()
    checks.check_loggers(cfg)
    cfg.visualizer = dict(vis_backends=[dict(type='NopeVisBackend')])
    with pytest.raises(UserError, match=r"vis_backends\.0\.type: found 'NopeVisBackend', expected"):
        checks.check_loggers(cfg)


@pytest.mark.parametrize('launcher', VARIABLES)
def test_a_launcher_without_its_environment_is_named(monkeypatch, launcher):
    for name in VARIABLES[launcher]:
        monkeypatch.delenv(name, raising=False)
    for name in VARIABLES[launcher]:
        with pytest.raises(UserError, match=f'--launcher {launcher}: {name} is not set, expected'):
            check_launcher(launcher)
        monkeypatch.setenv(name, '0')


@pytest.mark.parametrize('launcher', ['slurm', 'mpi'])
def test_launchers_for_gpus_are_refused_without_one(monkeypatch, launcher):
    for name in VARIABLES[launcher]:
        monkeypatch.setenv(name, '0')
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    with pytest.raises(UserError, match=f'--launcher {launcher}: found no GPU'):
        check_launcher(launcher)


@pytest.mark.parametrize(('hook', 'rest', 'problem'), [
    ({}, '', r'config\.py: custom_hooks\.0: ValLossHook: found neither its own pipeline nor'),
    (dict(pipeline=[dict(type='LoadCachedImage'), dict(type='Nope')]), '',
     r'config\.py: custom_hooks\.0\.pipeline\.1: .*Nope'),
    ({}, "val_loss_pipeline = [dict(type='Resize', sale=2)]",
     r'config\.py: val_loss_pipeline\.0: .*sale')])
def test_the_transforms_of_the_validation_loss_are_checked(tmp_path, hook, rest, problem):
    path = tmp_path / 'config.py'
    path.write_text(f'''
one = dict(type='SartoriusDataset')
val_dataloader = dict(dataset=dict(type='ConcatDataset', datasets=[one, one]))
custom_hooks = [{dict(hook, type='ValLossHook')!r}]
{rest}''')
    with pytest.raises(UserError, match=problem):
        check_val_loss(load_config(str(path)))


def test_without_a_checkpoint_hook_there_is_no_best(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('default_hooks = dict(checkpoint=None)\n')
    check_save_best(load_config(str(path)))


@pytest.mark.parametrize(('save_best', 'good'), [
    ('auto', True), ('coco/segm_mAP', True), ('val_loss/loss', True), (None, True),
    ('sartorius/mAP', False), ('mAP', False), (['coco/segm_mAP', 'sartorius/mAP'], False)])
def test_the_best_is_chosen_by_a_score_that_there_is(tmp_path, save_best, good):
    path = tmp_path / 'config.py'
    path.write_text(f'default_hooks = dict(checkpoint=dict(save_best={save_best!r}))\n'
                    "val_evaluator = dict(type='CocoMetric')\n")
    cfg = load_config(str(path))
    if good:
        check_save_best(cfg)
        return
    with pytest.raises(UserError, match=r'found (sartorius/)?mAP, expected .*\(coco, val_loss/'):
        check_save_best(cfg)

"""Leaves of other families: each trains, validates, predicts and gives its checkpoint back.

All of it with the operators in Python, also where mmcv's are compiled.
"""
import gc
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mmsart.apis import CellSegmenter, load_config, train_model
from mmsart.ops import stand_in
from mmsart.weights import read_checkpoint
from tests.livecell_cells import write_livecell
from tests.sample_data import write_sample
from tests.small_configs import small_config

FAMILIES = [
    'sartorius/detectron2_r50', 'sartorius/detectron2_r101', 'sartorius/detectron2_x101',
    'sartorius/torchvision_r50', 'sartorius/torchvision_r50_v2', 'sartorius/cascade_r50',
    'sartorius/htc_r50', 'sartorius/ms_rcnn_r50', 'sartorius/point_rend_r50',
    'sartorius/solov2_r50', 'sartorius/rtmdet_ins_s', 'sartorius/mask2former_r50',
    'sartorius/queryinst_r50', 'sartorius/carnozhao_htc', 'sartorius/ryanirl_r50',
    'sartorius/maskrcnn_r50_fine', 'sartorius/maskrcnn_two_stage_v2',
    'sartorius/maskrcnn_two_stage_detectron2', 'sartorius/maskrcnn_two_stage_x101',
    'sartorius/maskrcnn_lite_cpu', 'sartorius/cascade_lite2', 'sartorius/cascade_r50_fine',
    'livecell/maskrcnn_r50_livecell', 'livecell/theoviel_r50_livecell', 'sartorius/theoviel_r50']
PRETRAINED = {'sartorius/theoviel_r50': 'livecell_theoviel_r50_livecell'}


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    return write_sample(tmp_path_factory.mktemp('sample') / 'data', 10)


@pytest.fixture(scope='module')
def lean():
    """Leave out mmcv's compiled operators, and what takes longer here than the network.

    That is compilers' versions, the layout of configs and the collection of garbage.
    """
    patch = pytest.MonkeyPatch()
    patch.setattr('mmengine.runner.runner.collect_env', dict)
    patch.setattr('yapf.yapflib.yapf_api.FormatCode', lambda text, **_: (text, True))
    for name, module in list(sys.modules.items()):
        if name.startswith('mmcv.ops.') and hasattr(module, 'ext_module'):
            patch.setattr(module, 'ext_module', stand_in)
    gc.freeze()  # data sets collect garbage, among all modules that a test run has imported
    yield
    gc.unfreeze()
    patch.undo()


@pytest.fixture(scope='module')
def livecell_root(tmp_path_factory):
    return write_livecell(tmp_path_factory.mktemp('livecell') / 'data')


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp('runs')


@pytest.fixture(scope='module', params=FAMILIES)
def leaf(request):
    return request.param


@pytest.fixture(scope='module')
def run(leaf, data_root, livecell_root, runs, lean):
    """Train a leaf in miniature for two iterations; give its work dir."""
    work_dir = runs / leaf.replace('/', '_')
    root = livecell_root if leaf.startswith('livecell') else data_root
    cfg = small_config(f'{leaf}.py', f'data_root={root}', work_dir=str(work_dir))
    cfg.val_dataloader.dataset.indices = 2
    if leaf in PRETRAINED:
        cfg.load_from = str(runs / PRETRAINED[leaf] / 'iter_2.pth')
    if 'stages' in cfg.train_cfg:
        stages = cfg.train_cfg.stages
        for stage in stages:
            stage.pop('max_epochs', None)
            stage.update(max_iters=2 // len(stages), val_interval=1, param_scheduler=[
                each for each in stage.get('param_scheduler', []) if each.get('begin', 0) == 0])
        cfg.train_cfg.val_begin = 2
    else:
        cfg.train_cfg.max_epochs = 1
        cfg.train_dataloader.dataset.indices = 4
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=2)
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook.type != 'CurvesHook']
    cfg.vis_backends = cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    train_model(cfg)
    return work_dir


@pytest.mark.parametrize(('leaf', 'before'), [
    ('theoviel_r50', 'theoviel_r50_livecell'), ('ryanirl_r50', 'maskrcnn_r50_livecell')])
def test_the_weights_that_a_leaf_goes_on_from_are_written(leaf, before):
    """Under the name that its `load_from` has, when the training before it ends."""
    first = load_config(f'configs/livecell/{before}.py')
    hook = first.default_hooks.checkpoint
    iters = sum(stage.max_iters for stage in first.train_cfg.stages)
    assert not hook.by_epoch
    assert iters % hook.interval == 0
    second = load_config(f'configs/sartorius/{leaf}.py')
    assert second.load_from == f'work_dirs/{before}/iter_{iters}.pth'


def test_the_packages_model_learns_on_from_itself_and_with_its_thresholds():
    cfg, recipe = (load_config(f'configs/sartorius/{name}.py')
                   for name in ('finetune_mobilenetv2', 'cascade_mobilenetv2'))
    assert cfg.load_from == 'zoo://cascade_mobilenetv2'
    assert cfg.postprocess == cfg.test_evaluator.postprocess == recipe.postprocess
    assert cfg.model.backbone.pop('init_cfg') is None
    recipe.model.backbone.pop('init_cfg')
    assert cfg.model == recipe.model


def test_it_trains_and_validates(run):
    lines = [json.loads(line) for line in next(run.glob('*/vis_data/scalars.json')).open()]
    losses = [line['loss'] for line in lines if 'loss' in line]
    assert len(losses) == 2
    assert all(map(math.isfinite, losses))
    assert any('mask' in name or 'point' in name for name in lines[0])
    last = lines[-1]
    assert 0 <= last['sartorius/mAP'] <= 1
    assert sum(key.startswith('sartorius/mAP_') for key in last) >= 1
    assert math.isfinite(last['val_loss/loss'])


def test_livecells_own_score_is_there(leaf, run):
    if not leaf.startswith('livecell'):
        pytest.skip('another data set')
    text = next(run.glob('*/vis_data/scalars.json')).read_text()
    assert all(f'"livecell/{kind}_AR@{count}"' in text
               for kind in ('bbox', 'segm') for count in (100, 500, 2000))


def test_class_layers_are_made_anew_for_other_classes(leaf, run, runs):
    if leaf not in PRETRAINED:
        pytest.skip('no pre-training')
    before, after = (read_checkpoint(path / 'iter_2.pth')['state_dict']
                     for path in (runs / PRETRAINED[leaf], run))
    other = {name for name in before if before[name].shape != after[name].shape}
    assert other == {f'roi_head.{layer}.{kind}' for kind in ('weight', 'bias') for layer in (
        'bbox_head.fc_cls', 'bbox_head.fc_reg', 'mask_head.conv_logits')}
    # Two steps of the warm-up move weights by about 1e-6.
    for name in before.keys() - other:
        torch.testing.assert_close(after[name].float(), before[name].float(), rtol=0, atol=1e-4)


def test_its_checkpoint_comes_back_and_predicts(leaf, run, data_root):
    checkpoint = run / ('iter_2.pth' if (run / 'iter_2.pth').is_file() else 'epoch_1.pth')
    segmenter = CellSegmenter(checkpoint, 'cpu')
    assert len(segmenter.classes) == (8 if leaf.startswith('livecell') else 3)
    saved = read_checkpoint(checkpoint)['state_dict']
    loaded = segmenter.source.build('cpu').state_dict()
    assert loaded.keys() == saved.keys()
    assert all(torch.equal(loaded[name], saved[name]) for name in saved)
    result = segmenter(sorted(Path(data_root, 'train').iterdir())[0])
    assert result.masks.shape == (96, 96)
    assert len(result) == len(np.unique(result.masks)) - 1

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

from mmsart.apis import CellSegmenter, train_model
from mmsart.datasets.classes import CLASSES
from mmsart.ops import stand_in
from mmsart.weights import read_checkpoint
from tests.run_tool import run_tool
from tests.small_configs import small_config

FAMILIES = [
    'sartorius/detectron2_r50', 'sartorius/detectron2_r101', 'sartorius/detectron2_x101',
    'sartorius/torchvision_r50', 'sartorius/torchvision_r50_v2', 'sartorius/cascade_r50',
    'sartorius/htc_r50', 'sartorius/ms_rcnn_r50', 'sartorius/point_rend_r50',
    'sartorius/solov2_r50', 'sartorius/rtmdet_ins_s', 'sartorius/mask2former_r50',
    'sartorius/queryinst_r50']


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('sample') / 'data'
    code, out, _ = run_tool('dataset_converters/make_sample_dataset', str(root), '--images', '10',
                            '--size', '96', '96', '--seed', '1')
    assert code == 0, out
    return root


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


@pytest.fixture(scope='module', params=FAMILIES)
def run(request, data_root, tmp_path_factory, lean):
    """Train a leaf in miniature for two iterations; give its work dir."""
    work_dir = tmp_path_factory.mktemp(request.param.replace('/', '_'))
    cfg = small_config(f'{request.param}.py', f'data_root={data_root}',
                       'val_dataloader.dataset.indices=2', work_dir=str(work_dir))
    cfg.train_cfg.stages[0].update(max_iters=2, val_interval=2)
    cfg.train_cfg.val_begin = 1
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=2)
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook.type != 'CurvesHook']
    cfg.vis_backends = cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    train_model(cfg)
    return work_dir


def test_it_trains_and_validates(run):
    lines = [json.loads(line) for line in next(run.glob('*/vis_data/scalars.json')).open()]
    losses = [line['loss'] for line in lines if 'loss' in line]
    assert len(losses) == 2
    assert all(map(math.isfinite, losses))
    assert any('mask' in name or 'point' in name for name in lines[0])
    last = lines[-1]
    assert 0 <= last['sartorius/mAP'] <= 1
    assert any(f'sartorius/mAP_{name}' in last for name in CLASSES)
    assert math.isfinite(last['val_loss/loss'])


def test_its_checkpoint_comes_back_and_predicts(run, data_root):
    checkpoint = sorted(run.glob('iter_*.pth'))[-1]
    segmenter = CellSegmenter(checkpoint, 'cpu')
    assert segmenter.classes == CLASSES
    saved = read_checkpoint(checkpoint)['state_dict']
    loaded = segmenter.source.build('cpu').state_dict()
    assert loaded.keys() == saved.keys()
    assert all(torch.equal(loaded[name], saved[name]) for name in saved)
    result = segmenter(sorted(Path(data_root, 'train').iterdir())[0])
    assert result.masks.shape == (96, 96)
    assert len(result) == len(np.unique(result.masks)) - 1

"""Every leaf config: it builds, says what it is, and has no trap in it."""
import ast
import copy
import math
import re
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.dataset import Compose
from torch import nn

from mmsart.apis.checks import data_classes
from mmsart.apis.config import find_metrics, load_config
from mmsart.apis.run_checks import check_schedule
from mmsart.datasets.nested import find_datasets
from mmsart.models.detectors.members import member_configs

ROOT = Path(__file__).parents[1]
LEAVES = sorted(path for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts)
BASES = sorted((ROOT / 'configs' / '_base_').rglob('*.py'))


@cache
def load(path):
    return load_config(str(path))


def train_pipeline(path):
    return next(find_datasets(load(path).train_dataloader)).pipeline


# Others refuse a table with weights.
WEIGHTED = [path for path in LEAVES if train_pipeline(path)[-1].type == 'PackWeightedInputs']


@pytest.fixture(scope='module', params=LEAVES, ids=lambda path: path.stem)
def leaf(request):
    return request.param, load(request.param)


def test_the_schedule_ends_as_it_is_meant_to(leaf):
    """What a slip of the pen in a schedule would do is seen hours later, if at all."""
    path, cfg = leaf
    check_schedule(cfg, nn.Linear(1, 1))
    images = 96 if path.parent.name == 'demo' else 485  # of the generated and the report's data
    length = images // cfg.train_dataloader.batch_size
    stages = cfg.train_cfg.get('stages')
    if stages:
        iters = [each.get('max_iters') or each.max_epochs * length for each in stages]
        by_epoch = stages[-1].get('max_epochs') is not None
        end = sum(each.max_epochs for each in stages) if by_epoch else sum(iters)
        assert cfg.train_cfg.get('val_begin', 1) <= end
        assert len({each.name for each in stages}) == len(stages)
    for stage in stages or [dict(cfg, max_epochs=cfg.train_cfg.max_epochs)]:
        optimizer = stage['optim_wrapper']['optimizer']
        assert 0 < optimizer['lr'] <= (1e-2 if optimizer['type'] == 'SGD' else 2e-3)
        total = {True: stage.get('max_epochs') or math.inf,
                 False: stage.get('max_iters') or stage['max_epochs'] * length}
        for each in stage.get('param_scheduler') or []:
            last = total[each.get('by_epoch', True)]
            assert each.get('begin', 0) < each.get('end', last) <= last
            assert max(each.get('milestones', [each.get('step_size', 0)])) < last


def test_there_are_leaves():
    assert len(LEAVES) >= 8
    assert WEIGHTED


def test_the_model_builds_and_fits_dense_images(leaf):
    _, cfg = leaf
    # mmdet's EfficientNet computes while it is built, which takes memory.
    detector, = member_configs(cfg.model)
    with torch.device('cpu' if 'EfficientNet' in detector.backbone.type else 'meta'):
        model = MODELS.build(cfg.model)
    classes = data_classes(cfg, 'val_dataloader')
    heads = {name: module.num_classes for name, module in model.named_modules()
             if hasattr(module, 'num_classes') and not name.endswith('rpn_head')}
    assert heads
    assert set(heads.values()) == {len(classes)}, heads
    caps = [value for key, value in leaves_of(detector.test_cfg)
            if key in ('max_per_img', 'max_per_image')]
    assert caps
    assert min(caps) >= 790


def leaves_of(node):
    """List the keys and values of a config, however deep."""
    for key, value in node.items():
        yield from leaves_of(value) if isinstance(value, dict) else [(key, value)]


def test_pipelines_build(leaf):
    _, cfg = leaf
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        dataset = next(find_datasets(loader))
        assert len(Compose(dataset.pipeline).transforms) == len(dataset.pipeline) >= 3


@pytest.mark.parametrize('path', WEIGHTED, ids=lambda path: path.stem)
def test_a_pipeline_that_packs_weights_keeps_them_at_their_cells(path, tmp_path):
    """A weight tells here which class a cell has, so that one that moves to another shows."""
    size, corners = (520, 704), [(y, x) for y in range(0, 500, 26) for x in range(0, 690, 44)]
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros(size, np.uint8))
    instances = []
    for number, (y, x) in enumerate(corners):
        text = ' '.join(f'{row * size[1] + x + 1} 20' for row in range(y, y + 20))
        instances.append(dict(bbox=[x, y, x + 20, y + 20], bbox_label=number % 3, ignore_flag=0,
                              mask=text, weight=(1 + number % 3) / 4))
    transforms = Compose(train_pipeline(path))
    np.random.seed(0)
    for _ in range(3):
        packed = transforms(dict(
            img_path=str(tmp_path / 'a.png'), img_id='a', height=size[0], width=size[1],
            cell_type='cort', sample_id='a', instances=copy.deepcopy(instances)))
        found = packed['data_samples'].gt_instances
        assert 0 < len(found) < len(instances)
        torch.testing.assert_close(found.weights, (1 + found.labels) / 4)


def test_test_is_validation(leaf):
    _, cfg = leaf
    assert cfg.test_dataloader == cfg.val_dataloader
    assert cfg.test_evaluator == cfg.val_evaluator


def test_a_redefined_pipeline_reaches_its_loader(leaf):
    _, cfg = leaf
    for name, loader in (('train_pipeline', cfg.train_dataloader),
                         ('test_pipeline', cfg.val_dataloader)):
        dataset = next(find_datasets(loader))
        assert cfg[name] == dataset.pipeline


def test_the_truth_reaches_the_metric(leaf):
    _, cfg = leaf
    packed = cfg.val_dataloader.dataset.pipeline[-1]
    assert {'instances', 'cell_type', 'sample_id', 'img_id', 'ori_shape'} <= set(packed.meta_keys)


def test_the_best_checkpoint_is_by_the_competitions_score(leaf):
    _, cfg = leaf
    assert cfg.default_hooks.checkpoint.save_best == 'auto'  # the first score
    assert find_metrics(cfg, 'val_evaluator')[0].type == 'SartoriusMetric'
    assert cfg.default_hooks.checkpoint.type == 'AtomicCheckpointHook'
    assert cfg.runner_type == 'StagedRunner'


def test_a_leaf_is_short_and_says_how_to_run_it(leaf):
    path, _ = leaf
    source = path.read_text()
    assert len(source.splitlines()) <= 40
    docstring = ast.get_docstring(ast.parse(source))
    assert docstring
    assert 'tools/train.py' in docstring or 'make demo' in docstring


def test_a_leaf_says_what_it_scores_or_that_nobody_knows_yet(leaf):
    path, _ = leaf
    text = ' '.join((ast.get_docstring(ast.parse(path.read_text())) or '').split())
    scored = re.search(r'mAP (of )?\.\d+', text) and re.search(r'\d+ (min|h)', text)
    assert scored or 'ot trained yet' in text or 'A pre-training' in text


def test_the_table_of_configs_has_every_leaf_once():
    text = (ROOT / 'configs/README.md').read_text()
    named = re.findall(r'^\| `(\w+/\w+\.py)` \|', text, re.M)
    assert sorted(named) == [str(path.relative_to(ROOT / 'configs')) for path in LEAVES]


def bases_of(path):
    """Return the files that a config builds on, those of mmdet by name."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == '_base_':
            names = ast.literal_eval(node.value)
            return [name if '::' in name else (path.parent / name).resolve()
                    for name in ([names] if isinstance(names, str) else names)]
    return []


def depth(path):
    """Count the files on the longest way from a config to its root."""
    return 1 if isinstance(path, str) else 1 + max(map(depth, bases_of(path)), default=0)


@pytest.mark.parametrize('path', LEAVES, ids=lambda path: path.stem)
def test_no_leaf_is_deeper_than_four_files(path):
    assert depth(path) <= 4


def test_every_base_has_a_leaf():
    reached, queue = set(), [*LEAVES]
    while queue:
        path = queue.pop()
        reached.add(path)
        queue += [base for base in bases_of(path) if isinstance(base, Path)]
    assert set(BASES) <= reached


@pytest.mark.parametrize('path', BASES, ids=lambda path: path.stem)
def test_a_base_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_the_environment_names_the_data(monkeypatch):
    monkeypatch.setenv('SARTORIUS_ROOT', '/some/where')
    cfg = load_config(str(ROOT / 'configs/sartorius/maskrcnn_two_stage.py'))
    assert cfg.train_dataloader.dataset.data_root == '/some/where'
    monkeypatch.delenv('SARTORIUS_ROOT')
    cfg = load_config(str(ROOT / 'configs/sartorius/maskrcnn_two_stage.py'))
    assert cfg.val_dataloader.dataset.data_root == 'data/sartorius/'


def test_options_reach_test_and_all_datasets():
    cfg = load_config(str(ROOT / 'configs/sartorius/maskrcnn_two_stage.py'), [
        'data_root=/elsewhere', 'val_dataloader.dataset.indices=3',
        'val_evaluator.postprocess.score_thr=0.9'])
    assert cfg.test_dataloader.dataset.indices == 3
    assert cfg.test_evaluator.postprocess.score_thr == 0.9
    assert cfg.train_dataloader.dataset.data_root == '/elsewhere'
    assert cfg.test_dataloader.dataset.data_root == '/elsewhere'

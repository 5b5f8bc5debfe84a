"""Other data by config alone: COCO of one class, COCO's metric alone, a model of mmdet's zoo."""
import json
import re

import pytest

from mmsart.apis.checks import check_model
from mmsart.apis.config import load_config
from mmsart.formats.predictions import load_predictions
from mmsart.formats.submission import read_submission
from tests.coco_cells import SIDE, write_coco_cells
from tests.run_tool import ROOT, run_tool
from tests.test_tools.test_end_to_end import SMALL as SMALL_DEMO

SMALL = [option for option in SMALL_DEMO if not option.startswith('val_evaluator')]


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_coco_cells(tmp_path_factory.mktemp('coco') / 'data')


@pytest.fixture(scope='module')
def config(data):
    """The config of docs/coco_data.md, on the demo's network, which is smaller."""
    text, = re.findall('```python\n(.*?)```', (ROOT / 'docs/coco_data.md').read_text(), re.S)
    text = text.replace('mmsart::sartorius/maskrcnn_lite_cpu.py',
                        str(ROOT / 'configs/demo/maskrcnn_r18_two_stage.py'))
    text = text.replace('data/mine/', f'{data}/').replace('score_thr=0.3', 'score_thr=0.0')
    path = data.parent / 'coco_cells.py'
    path.write_text(text)
    return path


@pytest.fixture(scope='module')
def trained(config):
    work_dir = config.parent / 'run'
    code, _, err = run_tool('train', config, '--work-dir', work_dir, '--cfg-options', *SMALL)
    assert code == 0, err
    return work_dir


def test_the_config_of_the_docs_builds_the_laptop_model(config, data):
    path = data.parent / 'laptop.py'
    path.write_text(config.read_text().replace('demo/maskrcnn_r18_two_stage.py',
                                               'sartorius/maskrcnn_lite_cpu.py'))
    check_model(load_config(str(path)))


def last_scores(work_dir):
    """Read the scores of a run's last validation."""
    log = next(work_dir.glob('*/vis_data/scalars.json')).read_text().splitlines()
    return [json.loads(line) for line in log if 'val_loss/loss' in line][-1]


def test_one_class_of_coco_is_validated_by_both_scores(data, trained):
    scores = last_scores(trained)
    assert {'sartorius/mAP', 'sartorius/mAP_cell', 'coco/segm_mAP', 'coco/bbox_mAP'} <= set(scores)
    assert 'sartorius/mAP_mix' not in scores
    assert scores['sartorius/mAP'] == scores['sartorius/mAP_cell']
    assert scores['sartorius/TP'] + scores['sartorius/FN'] == number_of_cells(data)
    assert list(trained.glob('best_sartorius_mAP_*.pth'))


def number_of_cells(data):
    return len(json.loads((data / 'val.json').read_text())['annotations'])


def test_one_class_of_coco_is_written_and_tuned(data, config, trained, tmp_path):
    code, _, err = run_tool(
        'test', config, trained, '--work-dir', tmp_path / 't', '--out', tmp_path / 'p.pkl',
        '--submission', tmp_path / 's.csv', '--cfg-options', *SMALL)
    assert code == 0, err
    classes, images, _ = load_predictions(tmp_path / 'p.pkl')
    assert classes == ('cell',)
    assert [image.img_id for image in images] == ['val_1', 'val_2', 'val_3']
    assert {image.size for image in images} == {(SIDE, SIDE)}
    assert sum(len(image.truth) for image in images) == number_of_cells(data)
    assert len(images[-1].truth) == 0
    assert {image.cell_type for image in images} == {'cell'}
    assert set(read_submission(tmp_path / 's.csv').ids) == {'val_1', 'val_2', 'val_3'}

    tuned = tmp_path / 'postprocess.json'
    code, out, err = run_tool('tune_postprocess', config, tmp_path / 'p.pkl', '--trials', '8',
                              '--folds', '2', '--workers', '1', '--out', tuned)
    assert code == 0, err
    row = next(line.split() for line in out.splitlines() if line.startswith('mAP_cell'))
    assert set(json.loads(tuned.read_text())['score_thr']) == {'cell'}
    code, out, err = run_tool(
        'test', config, trained, '--work-dir', tmp_path / 't', '--postprocess', tuned,
        '--cfg-options', *SMALL)
    assert code == 0, err
    tested = next(line for line in out.splitlines() if line.startswith('sartorius/mAP: '))
    assert float(tested.split()[1]) == pytest.approx(float(row[3]), abs=1e-4)
    # A fair share of the images is without cells: 1 for saying so.
    assert float(row[3]) >= 1 / 3 - 1e-4


def test_coco_metric_is_evaluator_enough(config, data, tmp_path):
    path = tmp_path / 'coco_alone.py'
    path.write_text(
        f"_base_ = '{config}'\nval_evaluator = dict(_delete_=True, type='CocoMetric', "
        f"metric='segm', ann_file='{data}/val.json')\ntest_evaluator = val_evaluator\n")
    code, _, err = run_tool('train', path, '--work-dir', tmp_path / 'run', '--cfg-options', *SMALL,
                            'train_cfg.stages.1.max_epochs=1')
    assert code == 0, err
    assert 'coco/segm_mAP' in last_scores(tmp_path / 'run')
    assert list((tmp_path / 'run').glob('best_coco_segm_mAP_*.pth'))
    code, out, err = run_tool('test', path, tmp_path / 'run', '--work-dir', tmp_path / 't',
                              '--out', tmp_path / 'p.pkl', '--cfg-options', *SMALL)
    assert code == 0, err
    assert 'coco/segm_mAP: ' in out
    assert len(load_predictions(tmp_path / 'p.pkl').images) == 3


ZOO = """
_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
custom_imports = dict(imports=['mmsart.registration'], allow_failed_imports=False)
model = dict(
    backbone=dict(depth=18, base_channels=8, init_cfg=None),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16), mask_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, fc_out_channels=16, num_classes=1),
        mask_head=dict(in_channels=16, conv_out_channels=16, num_classes=1)),
    test_cfg=dict(rcnn=dict(score_thr=0.0, max_per_img=20)))
data = dict(data_root='{root}/', metainfo=dict(classes=('cell',)), data_prefix=dict(img='images/'))
loading = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(dataset=dict(**data, ann_file='train.json'), **loading)
val_dataloader = dict(dataset=dict(**data, ann_file='val.json'), **loading)
train_dataloader['dataset']['pipeline'] = [
    dict(step, scale=({side}, {side})) if step['type'] == 'Resize' else step
    for step in _base_.train_pipeline]
val_dataloader['dataset']['pipeline'] = [
    dict(step, scale=({side}, {side})) if step['type'] == 'Resize' else step
    for step in _base_.test_pipeline]
test_dataloader = val_dataloader
val_evaluator = [dict(type='CocoMetric', metric='segm', ann_file='{root}/val.json'),
                 dict(type='SartoriusMetric', postprocess=dict(score_thr=0.0))]
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=1)
""".replace('{side}', str(SIDE))


def test_a_model_of_mmdets_zoo_is_trained_tested_and_written(data, tmp_path):
    """Stock pipelines, heads and runner: the truth comes from the masks that they load."""
    path = tmp_path / 'zoo.py'
    path.write_text(ZOO.replace('{root}', str(data)))
    code, _, err = run_tool('train', path, '--work-dir', tmp_path / 'run')
    assert code == 0, err
    code, out, err = run_tool('test', path, tmp_path / 'run', '--work-dir', tmp_path / 't',
                              '--out', tmp_path / 'p.pkl')
    assert code == 0, err
    assert 'coco/segm_mAP: ' in out
    assert 'sartorius/mAP_cell: ' in out
    images = load_predictions(tmp_path / 'p.pkl').images
    assert sum(len(image.truth) for image in images) == number_of_cells(data)

"""What detectors cost, on one small enough to be counted by hand."""
import re

import pytest

from mmsart.models import fast_inference
from tests.run_tool import ROOT, run_tool

CONFIG = f"""
_base_ = '{ROOT}/configs/demo/maskrcnn_r18_two_stage.py'
model = dict(
    backbone=dict(base_channels=4, stem_channels=4),
    neck=dict(in_channels=[4, 8, 16, 32], out_channels=4),
    rpn_head=dict(in_channels=4, feat_channels=4),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=4), mask_roi_extractor=dict(out_channels=4),
        bbox_head=dict(in_channels=4, fc_out_channels=4),
        mask_head=dict(in_channels=4, conv_out_channels=4)))
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'small.py'
    path.write_text(CONFIG)
    return path


def conv(size, channels, kernel):
    return 2 * size ** 2 * channels[0] * channels[1] * kernel ** 2


def by_hand(size):
    """Count the convolutions of ResNet-18 of width 4 and of its pyramid, for a square image."""
    total, before = conv(size // 2, (3, 4), 7), 4
    for level in range(4):
        side, width = size // 4 >> level, 4 << level
        total += conv(side, (before, width), 3) + 3 * conv(side, (width, width), 3)
        total += conv(side, (before, width), 1) if width != before else 0
        total += conv(side, (width, 4), 1) + conv(side, (4, 4), 3)
        before = width
    return total


def test_operations_are_those_of_the_convolutions(config):
    code, out, err = run_tool('analysis_tools/model_costs', config, '--size', '4096', '4096')
    assert code == 0, err
    weights, operations = re.search(r'\| small \| ([\d.]+) \| (\d+) \| +\| +\|', out).groups()
    assert float(weights) < 0.1
    assert int(operations) == round(by_hand(4096) / 1e9) > 5


def test_an_image_is_timed_if_wanted(config, monkeypatch):
    looked = []
    monkeypatch.setattr(fast_inference, 'fold_for_inference', looked.append)
    code, out, err = run_tool(
        'analysis_tools/model_costs', config, config, '--size', '64', '96', '--time')
    assert code == 0, err
    rows = re.findall(r'\| small \| [\d.]+ \| \d+ \| ([\d.]+) \| (\d+) \|', out)
    assert len(rows) == 2
    assert rows[0] == rows[1]
    assert len(looked) == 1  # the detector of both
    assert 'one thread of' in out


def test_what_a_test_asks_is_counted_and_timed(config, tmp_path):
    (tmp_path / 'flips.py').write_text(f"""
_base_ = {str(config)!r}
model = dict(type='FlipTTAMaskRCNN', flip_directions=['horizontal'],
             roi_head=dict(type='FlipTTARoIHead'))
""")
    (tmp_path / 'taught.py').write_text("""
_base_ = 'flips.py'
detector = _base_.model
model = dict(
    _delete_=True, type='MaskSoftTeacher', detector=detector,
    data_preprocessor=dict(
        type='MultiBranchDataPreprocessor', data_preprocessor=detector.data_preprocessor),
    semi_train_cfg=dict(freeze_teacher=True), semi_test_cfg=dict(predict_on='teacher'))
""")
    (tmp_path / 'joined.py').write_text("""
_base_ = 'flips.py'
model = dict(_delete_=True, type='MaskEnsemble', members=[_base_.model, _base_.model])
""")
    models = [tmp_path / 'taught.py', tmp_path / 'joined.py']
    code, out, err = run_tool('analysis_tools/model_costs', *models, '--size', '4096', '4096')
    assert code == 0, err
    views = {'taught': 2, 'joined': 4}
    for name, operations in re.findall(r'\| (\w+) \| [\d.]+ \| (\d+) \|', out):
        assert int(operations) == round(views.pop(name) * by_hand(4096) / 1e9)
    assert not views
    code, out, err = run_tool(
        'analysis_tools/model_costs', *models, '--size', '64', '96', '--time')
    assert code == 0, err
    assert len(re.findall(r'\| [\d.]+ \| \d+ \|$', out, re.MULTILINE)) == 2


def test_views_are_refused_in_one_line(config, tmp_path):
    path = tmp_path / 'views.py'
    path.write_text(f"""
_base_ = {str(config)!r}
model = dict(_delete_=True, type='MaskTTA', detector=_base_.model)
""")
    code, _, err = run_tool('analysis_tools/model_costs', path)
    assert (code, err) == (2, f'error: {path}: model: found MaskTTA, expected a model without '
                              'views: count its detector\n')


def test_a_missing_config_is_one_line():
    code, _, err = run_tool('analysis_tools/model_costs', 'nowhere.py')
    assert code == 2
    assert 'nowhere.py' in err
    assert len(err.strip().splitlines()) == 1


def test_an_image_without_pixels():
    code, _, err = run_tool('analysis_tools/model_costs', 'nowhere.py', '--size', '0', '96')
    assert (code, err) == (2, 'error: --size: found 0 96, expected two numbers above 0\n')

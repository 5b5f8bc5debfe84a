"""Training and testing runs."""
import json

import pytest
from mmengine.config import Config

from mmsart.apis import runs
from mmsart.apis.config import load_config
from mmsart.datasets.classes import CLASSES
from mmsart.postprocessing import load_postprocess
from mmsart.utils import UserError


def pictures(**hook):
    cfg = Config(dict(default_hooks=dict(visualization=hook)) if hook else {})
    runs._draw_final_cells(cfg)
    return cfg.get('default_hooks', {}).get('visualization')


def test_pictures_are_of_final_cells_unless_a_threshold_is_given():
    stock, ours = 'DetVisualizationHook', 'CellVisualizationHook'
    assert pictures() is None
    assert pictures(type=stock, draw=True, interval=3, backend_args=None) == dict(
        type=ours, draw=True, interval=3)
    raw = dict(type=stock, draw=True, score_thr=0.5)
    assert pictures(**raw) == raw
    assert pictures(type=ours, draw=True) == dict(type=ours, draw=True)
    with pytest.raises(UserError, match='visualization: found score_thr, expected some of draw'):
        pictures(type=ours, score_thr=0.5)


METRIC = """
postprocess = dict({})
test_evaluator = val_evaluator = dict(type='SartoriusMetric', postprocess=postprocess)
"""
VAL_THR = 'val_evaluator.postprocess.score_thr=0.7'
OPTION = ', val_evaluator.postprocess.score_thr of --cfg-options'


@pytest.mark.parametrize(('options', 'given', 'beside', 'expected', 'source'), [
    ((), None, False, dict(score_thr=0.3), 'config.py'),
    ((), None, True, dict(min_area=9), 'postprocess.json'),
    ((), 'mine.json', True, dict(max_area=99), 'mine.json'),
    ([VAL_THR], None, False, dict(score_thr=0.7), 'config.py' + OPTION),
    ([VAL_THR], None, True, dict(score_thr=0.7, min_area=9), 'postprocess.json' + OPTION),
    ([VAL_THR.replace('val', 'test', 1)], None, True, dict(score_thr=0.7, min_area=9),
     'postprocess.json' + OPTION.replace(' val', ' test')),
    (['postprocess.score_thr=0.7'], None, True, dict(score_thr=0.7, min_area=9),
     'postprocess.json, postprocess.score_thr of --cfg-options'),
    ([VAL_THR], 'mine.json', True, dict(max_area=99), 'mine.json')])
def test_which_postprocessing_a_test_uses(tmp_path, options, given, beside, expected, source):
    """The file given, then what the command line changes, the file beside, the config."""
    path = tmp_path / 'config.py'
    path.write_text(METRIC.format('score_thr=0.3'))
    (tmp_path / 'mine.json').write_text(json.dumps(dict(max_area=99)))
    if beside:
        (tmp_path / 'postprocess.json').write_text(json.dumps(dict(min_area=9)))
    found, words = runs.choose_postprocess(
        load_config(str(path), options), str(tmp_path / 'epoch_1.pth'), CLASSES,
        given and str(tmp_path / given))
    assert found == load_postprocess(expected, CLASSES)
    assert words == str(tmp_path / source)


def test_a_config_without_evaluator_is_named(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('')
    with pytest.raises(UserError, match=r'config\.py: test_evaluator: found None, expected'):
        runs.choose_postprocess(load_config(str(path)), 'epoch_1.pth', CLASSES)


def test_without_the_metric_the_settings_are_the_defaults(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('test_evaluator = dict(type="CocoMetric")\n')
    found, _ = runs.choose_postprocess(load_config(str(path)), 'epoch_1.pth', CLASSES)
    assert found == load_postprocess(None, CLASSES)


@pytest.mark.parametrize('loader', ['', 'test_dataloader = dict(dataset=dict(data_root=""))'])
def test_a_folder_needs_a_pipeline(tmp_path, loader):
    path = tmp_path / 'config.py'
    path.write_text(f'test_evaluator = dict(type="SartoriusMetric")\n{loader}\n')
    (tmp_path / 'net.pth').write_text('')
    with pytest.raises(UserError, match=r'test_dataloader: found (None|no pipeline), expected'):
        runs.test_model(load_config(str(path)), str(tmp_path / 'net.pth'), images=str(tmp_path))


def test_loaders_that_are_none_are_named():
    loaders = [f'{name}_dataloader=None' for name in ('train', 'val', 'test')]
    cfg = load_config('configs/sartorius/maskrcnn_two_stage.py', loaders)
    with pytest.raises(UserError, match='dataloader: found None, expected a dict'):
        runs.train_model(cfg)

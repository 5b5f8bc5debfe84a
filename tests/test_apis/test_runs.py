"""Training and testing runs."""
import json
import shutil

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
    (tmp_path / 'epoch_1.pth').touch()
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
        runs.choose_postprocess(load_config(str(path)), str(path), CLASSES)


def test_without_the_metric_the_settings_are_the_defaults(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('test_evaluator = dict(type="CocoMetric")\n')
    (tmp_path / 'epoch_1.pth').touch()
    found, _ = runs.choose_postprocess(
        load_config(str(path)), str(tmp_path / 'epoch_1.pth'), CLASSES)
    assert found == load_postprocess(None, CLASSES)


@pytest.mark.parametrize('loader', ['', 'test_dataloader = dict(dataset=dict(data_root=""))'])
def test_a_folder_needs_a_pipeline(tmp_path, loader):
    path = tmp_path / 'config.py'
    path.write_text(f'test_evaluator = dict(type="SartoriusMetric")\n{loader}\n')
    (tmp_path / 'net.pth').write_text('')
    with pytest.raises(UserError, match=r'test_dataloader: found (None|no pipeline), expected'):
        runs.test_model(load_config(str(path)), str(tmp_path / 'net.pth'), images=str(tmp_path))


TESTED = """
test_dataloader = dict(batch_size=1, num_workers=0, dataset=dict(
    type='SartoriusDataset', data_root='data', ann_file='train.csv',
    data_prefix=dict(img='train'), test_mode=True, pipeline=[]))
test_evaluator = dict(type='SartoriusMetric')
"""


@pytest.fixture
def tested(write_table, tmp_path, monkeypatch):
    """Return a config with its data, and make a file in the place of a checkpoint."""
    write_table([{}])
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'config.py').write_text(TESTED)
    (tmp_path / 'net.pth').write_text('weights')
    return load_config('config.py')


@pytest.mark.parametrize(('outputs', 'message'), [
    (dict(submission='data/train.csv'), 'data/train.csv: found data/train.csv, which the same'),
    (dict(submission='data/../data/train.csv', images='data/train'), 'found data/train.csv, which'),
    (dict(out='config.py'), 'config.py: found config.py, which the same command reads'),
    (dict(out='net.pth'), 'net.pth: found net.pth, which the same command reads'),
    (dict(out='a.csv', submission='a.csv'), 'a.csv: found a.csv, which the same command reads or'),
    (dict(out='other.py'), r'other.py: expected the name of a file to write, ending in \.pkl'),
    (dict(submission='a.pkl'), r'a.pkl: expected the name of a file to write, ending in \.csv'),
    (dict(show_dir='data/train'), 'data/train: found data/train, which the same command reads'),
    (dict(show_dir='data/train', images='data/train'), 'data/train: found data/train, which')])
def test_a_test_replaces_nothing_that_it_reads(tested, tmp_path, outputs, message):
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob('*')}
    with pytest.raises(UserError, match=message):
        runs.test_model(tested, 'net.pth', **outputs)
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob('*')} == before


@pytest.mark.parametrize(('folders', 'show_dir', 'held'), [
    (('a', 'b'), 'data', 'data/a'), (('a', 'b'), 'link', 'link/a'),
    (('x', 'y/x'), 'data/y', 'data/y/x')])
def test_pictures_in_folders_as_the_images_replace_none(
        write_table, tmp_path, monkeypatch, folders, show_dir, held):
    write_table([{}])
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'link').symlink_to('data')
    for folder in folders:
        shutil.copytree('data/train', f'data/{folder}')
    (tmp_path / 'net.pth').write_text('weights')
    (tmp_path / 'config.py').write_text(TESTED + f"""
one = test_dataloader['dataset']
test_dataloader['dataset'] = dict(type='ConcatDataset', datasets=[
    dict(one, data_prefix=dict(img=folder)) for folder in {folders!r}])
""")
    with pytest.raises(UserError, match=rf'^{held}: found .*, which the same command reads'):
        runs.test_model(load_config('config.py'), 'net.pth', show_dir=show_dir)


def test_pictures_do_not_go_where_links_to_images_lead(tested, tmp_path):
    (image,) = (tmp_path / 'data/train').iterdir()
    (tmp_path / 'store').mkdir()
    image.rename(tmp_path / 'store' / image.name)
    image.symlink_to(tmp_path / 'store' / image.name)
    with pytest.raises(UserError, match=r'store: found .*store, which the same command reads'):
        runs.test_model(tested, 'net.pth', show_dir='store')


def test_loaders_that_are_none_are_named():
    loaders = [f'{name}_dataloader=None' for name in ('train', 'val', 'test')]
    cfg = load_config('configs/sartorius/maskrcnn_two_stage.py', loaders)
    with pytest.raises(UserError, match='dataloader: found None, expected a dict'):
        runs.train_model(cfg)

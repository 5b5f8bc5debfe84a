"""Options of the command line: what is typed is what counts, wherever its name reaches."""
import argparse
import warnings
from pathlib import Path

import pytest

from mmsart.apis.config import load_config
from mmsart.apis.options import parse_value, replaced, split_option
from mmsart.utils import UserError, add_run_arguments

ROOT = Path(__file__).parents[2]
DEMO = str(ROOT / 'configs/demo/maskrcnn_r18_two_stage.py')
SHARES = str(ROOT / 'configs/sartorius/maskrcnn_two_stage_90_10.py')


@pytest.mark.parametrize(('text', 'current', 'value'), [
    ('3', None, 3), ('-3', 1, -3), ('.9', None, 0.9), ('1e-3', 0.1, 1e-3),
    ('inf', None, float('inf')),
    ('true', None, True), ('False', True, False), ('None', 'x', None), ('word', None, 'word'),
    # Paths keep blanks and commas, and folders may be called by a number.
    ('/data/a b,c/x', '/data', '/data/a b,c/x'), ('/data/a b,c/x', None, '/data/a b,c/x'),
    ('2024', 'data', '2024'), ('2024_01', None, '2024_01'), ('a,b', 3, 'a,b'),
    ("'2024'", None, '2024'), ('"[1]"', 'x', '[1]'), ('[1', 'x', '[1'),
    # Lists: in brackets, or by commas where there is a list or all are numbers.
    ('1,2', None, [1, 2]), ('8, 11', [3], [8, 11]), ('512,256', (1, 2), (512, 256)),
    ('a, b', ['c'], ['a', 'b']), ('[a b, c]', None, ['a b', 'c']), ('[1]', 'x', [1]),
    ('[(1, 2), [a, b], c]', None, [(1, 2), ['a', 'b'], 'c']), ('(a,)', None, ('a',)),
    ('["a, b", c]', None, ['a, b', 'c']), ("[o'clock, x]", None, ["o'clock", 'x']), ('[]', 1, []),
    ('{"a": [1], "b": 2}', None, {'a': [1], 'b': 2}), ('', 'x', ''), ('a=b', None, 'a=b'),
])
def test_values(text, current, value):
    found = parse_value(text, current)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize('text', ['[1', '[1)', '{a:1}', '(1,[2)', '[a]]', '["a]'])
def test_brackets_that_do_not_match(text):
    with pytest.raises(ValueError, match='brackets'):
        parse_value(text)
    with pytest.raises(UserError, match=r'--cfg-options: split=.*expected a value such as'):
        load_config(DEMO, [f'split={text}'])


@pytest.mark.parametrize('option', ['a', '=3', 'a..b=3', '.=3'])
def test_what_is_no_option(option):
    with pytest.raises(UserError, match='expected KEY=VALUE'):
        split_option(option)


def test_given_twice_both_count():
    parser = argparse.ArgumentParser()
    add_run_arguments(parser)
    found = parser.parse_args(['--cfg-options', 'a=1', 'b=2', '--cfg-options', 'c=3'])
    assert found.cfg_options == ['a=1', 'b=2', 'c=3']
    assert parser.parse_args([]).cfg_options == []


def test_of_two_for_one_key_the_last_counts():
    assert load_config(DEMO, ['randomness.seed=1', 'randomness.seed=2']).randomness.seed == 2


def test_an_inner_key_refines_the_outer_one_in_any_order():
    cfg = load_config(DEMO, ['split.fold=2', 'split={"type": "kfold", "n": 3}'])
    assert cfg.train_dataloader.dataset.split == dict(type='kfold', n=3, fold=2)


def test_replacing_copies_what_it_touches():
    before = dict(a=[dict(b=1), 2], c=3)
    after = replaced(before, ['a', '0', 'b'], 5)
    assert before == dict(a=[dict(b=1), 2], c=3)
    assert after == dict(a=[dict(b=5), 2], c=3)


@pytest.mark.parametrize('path', [DEMO, SHARES])
def test_a_split_is_overridden_leaf_by_leaf(path):
    cfg = load_config(path, ['split.fold=1', 'split.type=kfold'])
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.split == dict(type='kfold', fold=1, seed=0)
    cfg = load_config(path, ['train_dataloader.dataset.split.type=kfold',
                             'train_dataloader.dataset.split.fold=1'])
    assert cfg.train_dataloader.dataset.split == dict(type='kfold', fold=1, seed=0)


def test_a_setting_of_another_split_stays_to_be_refused():
    cfg = load_config(DEMO, ['split.val_fraction=.1', 'split.type=kfold'])
    assert cfg.train_dataloader.dataset.split.val_fraction == 0.1


def test_a_variable_reaches_every_place_that_uses_it():
    cfg = load_config(DEMO, ['postprocess.score_thr=.9', 'meta_keys=img_id,img_path'])
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        assert evaluator.postprocess.score_thr == 0.9
    for pipeline in (cfg.train_dataloader.dataset.pipeline, cfg.val_loss_pipeline):
        assert pipeline[-1].meta_keys == ('img_id', 'img_path')
    # (*meta_keys, ...) of the base is worked out anew
    assert cfg.test_dataloader.dataset.pipeline[-1].meta_keys == (
        'img_id', 'img_path', 'instances', 'cell_type', 'sample_id')


def test_a_variable_reaches_through_the_files_that_build_on_it():
    cfg = load_config(SHARES, ['split.seed=5', 'train_pipeline.0.type=LoadImageFromFile',
                               'dataset_type=OtherDataset'])
    assert cfg.train_dataloader.dataset.split == dict(type='holdout', val_fraction=0.1, seed=5)
    assert cfg.test_dataloader.dataset.split == dict(type='holdout', val_fraction=0.1, seed=5)
    assert cfg.train_dataloader.dataset.pipeline[0].type == 'LoadImageFromFile'
    assert cfg.val_dataloader.dataset.type == 'OtherDataset'


def test_reading_without_options_is_left_as_it_was():
    before = load_config(SHARES)
    load_config(SHARES, ['split.seed=5'])
    assert load_config(SHARES).to_dict() == before.to_dict()


def test_options_act_on_a_config_that_a_run_has_written_out(tmp_path):
    path = tmp_path / 'written.py'
    load_config(DEMO, ['split.seed=4']).dump(path)
    cfg = load_config(str(path), ['data_root=/a b', 'split.val_fraction=0.5', 'meta_keys=[img_id]'])
    assert cfg.cfg_options == {
        'data_root': '/a b', 'split.val_fraction': 0.5, 'meta_keys': ['img_id']}
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.data_root == '/a b'
        assert loader.dataset.split == dict(type='holdout', val_fraction=0.5, seed=4)
    assert cfg.train_dataloader.dataset.pipeline[-1].meta_keys == ['img_id']
    with pytest.raises(UserError, match=r'test_meta_keys has no effect on a run of .*expected '
                       'the full key'):
        load_config(str(path), ['test_meta_keys=[img_id]'])


def test_other_roots_stay(tmp_path):
    path = tmp_path / 'two.py'
    path.write_text("""
data_root = '/a'
train_dataloader = dict(dataset=dict(datasets=[dict(data_root=data_root), dict(data_root='/b')]))
""")
    cfg = load_config(str(path), ['data_root=/c'])
    assert [data.data_root for data in cfg.train_dataloader.dataset.datasets] == ['/c', '/b']


def test_a_variable_that_nothing_reads_is_refused(tmp_path):
    path = tmp_path / 'dead.py'
    path.write_text("width = 3\nother = width\nmine = 4\nmodel = dict(width=3.5, depth=1)\n")
    with pytest.raises(UserError, match=r'width has no effect .* such as model\.width'):
        load_config(str(path), ['width=5'])
    with pytest.raises(UserError, match=r'mine has no effect on a run of .*dead\.py, '
                       r'expected the full key$'):
        load_config(str(path), ['mine=5'])


def test_the_value_that_is_there_is_no_change(tmp_path):
    path = tmp_path / 'same.py'
    path.write_text("width = 3\nmodel = dict(width=width)\n")
    assert load_config(str(path), ['width=3']).model.width == 3


def test_keys_of_a_run_that_the_file_leaves_out_are_taken(tmp_path):
    path = tmp_path / 'short.py'
    path.write_text('train_cfg = dict()\n')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        cfg = load_config(str(path), ['auto_scale_lr.base_batch_size=8', 'work_dir=/w'])
    assert cfg.auto_scale_lr.base_batch_size == 8
    assert cfg.work_dir == '/w'
    with pytest.raises(UserError, match=r'found split\.fold, expected a key that .*short\.py has$'):
        load_config(str(path), ['split.fold=1'])
    with pytest.raises(UserError, match=r'found modle\.x, .* has \(did you mean model\?\)$'):
        load_config(str(path), ['modle.x=1'])
    with pytest.raises(UserError, match='found launcher=pytorch, expected --launcher'):
        load_config(str(path), ['launcher=pytorch'])


@pytest.mark.parametrize(('option', 'problem'), [
    ('train_cfg.stages.9.max_epochs=3', '9: expected a position from 0 to 1'),
    ('train_cfg.stages.first.max_epochs=3', 'first: expected a position from 0 to 1'),
    ('train_cfg.stages.0.max_epochs.3=3', '3: its parent is 2')])
def test_a_key_that_does_not_fit_is_refused(option, problem):
    with pytest.raises(UserError, match=f'does not fit .*{problem}'):
        load_config(DEMO, [option])


@pytest.mark.parametrize('root', [
    "O'Brien lab", 'back\\slash', 'a"b', 'new\nline', '{x}', '{{ fileDirname }}', '{{$HOME:x}}',
    '$HOME', 'ä 日本', '[1]', 'a,b', '%s', "'''", '\\N{BULLET}'])
@pytest.mark.parametrize(('variable', 'path'), [
    ('SARTORIUS_SAMPLE', 'sample_instance'), ('PHASE_CONTRAST_ROOT', 'phase_contrast_crops'),
    ('SARTORIUS_ROOT', 'sartorius_crops')])
def test_any_character_in_the_path_of_the_data(monkeypatch, root, variable, path):
    monkeypatch.setenv(variable, root)
    cfg = load_config(str(ROOT / f'configs/_base_/datasets/{path}.py'))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.data_root == root

import json

import pytest

from mmsart.datasets.classes import CLASSES
from mmsart.postprocessing import OPTIONS, complete_config, load_postprocess
from mmsart.utils import MissingFileError, UserError


def test_defaults_are_complete_and_scalars_spread():
    config = complete_config({'score_thr': 0.3}, CLASSES)
    assert list(config) == list(OPTIONS)
    assert config['score_thr'] == dict.fromkeys(CLASSES, 0.3)
    assert config['remove_overlap'] is True
    assert complete_config(config, CLASSES) == config


@pytest.mark.parametrize(('config', 'words'), [
    ({'score_thrs': 0.3}, ['score_thrs', 'score_thr,']),
    ({'score_thr': 1.5}, ['score_thr', '[0, 1]', '1.5']),
    ({'score_thr': True}, ['score_thr', 'True']),
    ({'score_thr': '0.5'}, ['score_thr', "'0.5'"]),
    ({'score_thr': float('nan')}, ['score_thr', 'nan']),
    ({'score_thr': None}, ['score_thr', 'None']),
    ({'score_thr': {'shsy5y': 0.3}}, ['score_thr', 'astro', 'shsy5y']),
    ({'score_thr': {'shsy5y': 0, 'astro': 0, 'cort': 2}}, ['score_thr.cort', '2']),
    ({'min_area': 2.5}, ['min_area', 'integer', '2.5']),
    ({'min_area': -1}, ['min_area', '>= 0']),
    ({'min_area': float('inf')}, ['min_area', 'inf']),
    ({'fill_holes': 1}, ['fill_holes', 'true or false']),
    ({'vote': 'maybe'}, ['vote', 'relabel', 'maybe']),
    ({'vote': {'shsy5y': 'off'}}, ['vote', 'off']),
    ({'pieces': 'none'}, ['pieces', 'largest']),
    ([1], ['settings by name', 'list']),
])
def test_wrong_settings_are_named(config, words):
    with pytest.raises(UserError) as error:
        complete_config(config, CLASSES)
    assert '\n' not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_file_round_trip(tmp_path):
    path = tmp_path / 'postprocess.json'
    config = complete_config({'min_area': {'shsy5y': 0, 'astro': 150, 'cort': 75}}, CLASSES)
    path.write_text(json.dumps(config))
    assert load_postprocess(path, CLASSES) == load_postprocess(config, CLASSES) == config
    assert load_postprocess(None, CLASSES) == complete_config({}, CLASSES)


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
def test_the_file_may_come_from_any_editor(tmp_path, encoding):
    path = tmp_path / 'notepad.json'
    path.write_text('{"score_thr": 0.5}', encoding=encoding)
    assert load_postprocess(path, CLASSES) == complete_config({'score_thr': 0.5}, CLASSES)


@pytest.mark.parametrize(('text', 'problem'), [
    ('{"min_area": 1, "score_thr": 0.5, "min_area": 2}', 'min_area: found it twice, expected it'),
    ('{"min_area": {"cort": 1, "cort": 2}}', 'cort: found it twice'),
    ('[' * 100_000, 'expected JSON, found: maximum recursion depth'),
    (b'{"score_thr": "\xe9"}', 'expected JSON, found: ')])
def test_a_file_that_means_nothing_or_two_things_is_named(tmp_path, text, problem):
    path = tmp_path / 'bad.json'
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=rf'bad\.json: {problem}'):
        load_postprocess(path, CLASSES)


def test_bad_files(tmp_path):
    with pytest.raises(MissingFileError, match='nowhere'):
        load_postprocess(tmp_path / 'nowhere.json', CLASSES)
    path = tmp_path / 'bad.json'
    path.write_text('{"score_thr": ')
    with pytest.raises(UserError, match=r'bad\.json: expected JSON'):
        load_postprocess(path, CLASSES)
    path.write_text('{"min_area": -3}')
    with pytest.raises(UserError, match=r'bad\.json: min_area'):
        load_postprocess(path, CLASSES)

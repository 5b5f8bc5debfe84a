import json
from datetime import datetime

import pytest

from mmsart.formats import methods
from mmsart.formats.methods import describe_method, now, read_methods, write_methods
from mmsart.formats.names import METHODS_FILE
from mmsart.utils import UserError

CLASSES = ('round', 'flat')
MODEL = dict(
    mmsart='1.2.3', model=dict(name='best', weights_sha256='0123456789abcdef0123'),
    inference=dict(views=[dict(flip=''), dict(flip='vertical')], device='cpu', precision='float32',
                   tiles=dict(largest_px=[99, 98], size_px=[97, 96], overlap_px=5)),
    postprocessing=dict(source='postprocess.json'))


def settings(score=0.5, flat=0.5, min_area=0, max_area=None, vote='off'):
    return dict(score_thr=dict(round=score, flat=flat), min_area=dict(round=min_area, flat=0),
                max_area=dict.fromkeys(CLASSES, max_area), vote=vote)


def test_all_is_told_in_words_and_as_data():
    read = dict(axes='TYX', channel=1, series=None, normalize=(0, 255), pixel_size=0.5)
    method = describe_method(MODEL, settings(flat=0.25, min_area=1200, max_area=9000,
                                             vote='relabel'), read,
                             ['score_thr', 'min_area'])
    assert method == json.loads(json.dumps(method))
    assert method['text'] == (
        'Cells were found by mmsart 1.2.3 with the model best (SHA-256 of the weights '
        '0123456789ab...), computed in float32 on cpu. Each image was analysed in 2 views, 1 of '
        'them mirrored; images larger than 99 x 98 px were cut into tiles of 97 x 96 px that '
        'overlap by 5 px. Detections were counted as cells if their score was at least 0.5 '
        '(round), 0.25 (flat) and their area at least 1,200 px (round) and their area at most '
        '9,000 px (score_thr, min_area: set by hand). All cells of an image got one type, by a '
        'vote. Files were read with axes TYX, channel 1, normalize (0, 255), pixel size 0.5 um.')
    assert {key: method[key] for key in ('mmsart', 'model', 'inference')} == {
        key: MODEL[key] for key in ('mmsart', 'model', 'inference')}
    assert method['postprocessing'] == dict(
        source='postprocess.json', changed_by_hand=['score_thr', 'min_area'],
        settings=settings(flat=0.25, min_area=1200, max_area=9000, vote='relabel'))
    assert method['reading'] == dict(read, normalize=[0, 255])


def test_what_nobody_knows_is_said():
    one_look = dict(MODEL, inference=dict(MODEL['inference'], views=[dict(flip='')]))
    assert 'analysed once' in describe_method(one_look, settings(), {})['text']
    text = describe_method({}, settings(), dict(channel=None))['text']
    assert text == ('Cells were found by a version of mmsart that kept no note of its model. '
                    'Detections were counted as cells if their score was at least 0.5.')


def test_one_way_is_told_once_and_what_is_told_stays(tmp_path, monkeypatch):
    first, other = (describe_method(MODEL, settings(score), {}) for score in (0.5, 0.7))
    path = write_methods(tmp_path, [(first, ['a']), (other, ['b']), (first, ['c', 'd'])])
    assert path == tmp_path / METHODS_FILE
    assert read_methods(tmp_path) == [dict(first, images=['a', 'c', 'd']),
                                      dict(other, images=['b'])]
    before = path.read_bytes()
    monkeypatch.setattr(methods, 'now', lambda: 'later')
    write_methods(tmp_path, [(first, ['a', 'c', 'd']), (other, ['b'])])
    assert path.read_bytes() == before
    write_methods(tmp_path, [(first, ['a', 'c', 'd'])])
    assert json.loads(path.read_text())['written'] == 'later'
    assert read_methods(tmp_path) == [dict(first, images=['a', 'c', 'd'])]


def test_the_time_has_its_zone():
    assert datetime.fromisoformat(now()).tzinfo is not None


def test_no_file_is_no_method(tmp_path):
    assert read_methods(tmp_path) == []


@pytest.mark.parametrize('text', [
    '{', '[]', '{}', '{"methods": {}}', '{"methods": [5]}', '{"methods": [{"text": "a"}]}',
    '{"methods": [{"text": 5, "images": []}]}'])
def test_a_malformed_file_is_named(tmp_path, text):
    (tmp_path / METHODS_FILE).write_text(text)
    with pytest.raises(UserError, match=METHODS_FILE):
        read_methods(tmp_path)

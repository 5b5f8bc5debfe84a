"""Models as folders: written, found, checked, and the cells of the checkpoint they come from."""
import json
import shutil

import cv2
import numpy as np
import pytest
import safetensors.torch

from mmsart import zoo
from mmsart.apis.inference import CellSegmenter
from mmsart.apis.models import find_source
from mmsart.cli import main
from mmsart.formats.predictions import load_predictions
from mmsart.postprocessing import PostProcessor
from mmsart.utils import UserError
from mmsart.zoo import models
from tests.run_tool import run_tool
from tests.sample_data import write_sample
from tests.test_apis.tiny_model import CONFIG

FACTS = dict(
    title='Cells, drawn by chance', licence='CC BY-NC 4.0', training='Not trained.',
    purpose=['tests'], limits=['cells'], score={'mAP': 0.1}, score_source='Nobody measured it.',
    count_error={'cort': 0.25})
IMAGE = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)


@pytest.fixture(scope='module')
def exported(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp('zoo')
    (folder / 'facts.json').write_text(json.dumps(FACTS))
    (folder / 'familiar').mkdir()
    cv2.imwrite(str(folder / 'familiar' / 'a.png'), IMAGE)
    code, out, err = run_tool(
        'model_converters/export_to_zoo', str(checkpoint), str(folder / 'chance'), '--facts',
        str(folder / 'facts.json'), '--default', '--familiar', str(folder / 'familiar'))
    assert code == 0, err
    assert 'SHA-256' in out
    return folder / 'chance'


def test_the_folder_gives_the_cells_of_the_checkpoint(exported, checkpoint):
    """To the bit, as the checkpoint's weights are such that half precision keeps them."""
    result = CellSegmenter(exported, 'cpu')(IMAGE)
    original = CellSegmenter(checkpoint, 'cpu')(IMAGE)
    assert len(result) > 5
    np.testing.assert_array_equal(result.masks, original.masks)
    np.testing.assert_array_equal(result.scores, original.scores)
    assert result.classes == original.classes
    assert CellSegmenter(exported / 'weights.safetensors', 'cpu').source.name == 'chance'


def test_half_precision_where_it_saves(exported, checkpoint):
    weights = safetensors.torch.load_file(exported / 'weights.safetensors')
    assert weights['backbone.conv1.weight'].dtype.itemsize == 2
    assert weights['backbone.bn1.running_var'].dtype.itemsize == 4
    assert (exported / 'weights.safetensors').stat().st_size < checkpoint.stat().st_size


def test_the_card_says_what_was_said(exported):
    card, settings = (exported / 'README.md').read_text(), models.open_model(exported).settings
    for text in ('# chance', 'Cells, drawn by chance', 'CC BY-NC 4.0', '- tests', '| mAP | 0.100 |',
                 '| cort | 25.0% |', FACTS['score_source'], settings['sha256']):
        assert text in card
    assert {key: settings[key] for key in FACTS if key in settings} == {
        key: FACTS[key] for key in ('title', 'licence', 'score', 'score_source', 'count_error')}


def test_unfamiliar_images_are_told(exported):
    segmenter = CellSegmenter(exported, 'cpu')
    assert not any('training images' in note for note in segmenter(IMAGE).warnings)
    assert any('darker than the training images' in note for note in segmenter(IMAGE // 8).warnings)


def test_models_by_name(exported, monkeypatch):
    monkeypatch.setattr(models, 'ZOO', exported.parent)
    assert [model.name for model in zoo.list_models()] == ['chance']
    assert zoo.default_model().name == 'chance'
    assert find_source().name == find_source('chance').name == 'chance'
    assert zoo.find_model('luck') is None
    for name, guess in (('luck', ''), ('chanse', ' (did you mean chance?)')):
        message = (f'{name}: no such file, expected a checkpoint, a work dir or a model of the '
                   f'package (chance){guess}')
        with pytest.raises(UserError) as caught:
            find_source(name)
        assert str(caught.value) == message
        assert run_tool('test', CONFIG, name) == (2, '', f'error: {message}\n')


def test_a_test_gives_the_cells_of_a_prediction(exported, tmp_path, monkeypatch):
    """Of a model by its name, with its own network and thresholds, on a config's data."""
    monkeypatch.setattr(models, 'ZOO', exported.parent)
    data = write_sample(tmp_path / 'data', 10)
    options = ['--work-dir', tmp_path, '--cfg-options', f'data_root={data}',
               'val_dataloader.num_workers=0']
    code, _, err = run_tool('test', CONFIG, 'zoo://chance', '--out', tmp_path / 'p.pkl', *options,
                            'model.test_cfg.rcnn.keep_mask_logits=True')
    assert code == 0, err
    saved = load_predictions(tmp_path / 'p.pkl')
    assert saved.postprocess == models.open_model(exported).settings['postprocess']
    segmenter = CellSegmenter('chance', 'cpu')
    process = PostProcessor(saved.classes, **saved.postprocess)
    for image in saved.images:
        found = segmenter(data / 'train' / f'{image.img_id}.png').frames[0].detections
        assert image.detections.mask_probs is not None, 'options are for its network'
        expected = process(image.detections)
        assert len(found) > 5
        assert found.masks.to_rles() == expected.masks.to_rles()
        np.testing.assert_array_equal(found.scores, expected.scores)

    code, _, err = run_tool('test', CONFIG, exported, *options,
                            "val_dataloader.dataset.metainfo.classes=['one','two']")
    assert code == 2
    assert 'chance: found a model of the classes shsy5y, astro, cort, expected one, two, as' in err


def test_an_empty_zoo(tmp_path, monkeypatch):
    monkeypatch.setattr(models, 'ZOO', tmp_path)
    with pytest.raises(UserError, match='found no model in the package, expected --weights'):
        find_source()


def test_damaged_weights_are_refused(exported, tmp_path):
    shutil.copytree(exported, tmp_path / 'a')
    weights = tmp_path / 'a' / 'weights.safetensors'
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match=r'weights.safetensors: found SHA-256 .* damaged'):
        find_source(tmp_path / 'a')


@pytest.mark.parametrize('key', models.REQUIRED)
def test_settings_that_lack_something(exported, tmp_path, key):
    shutil.copytree(exported, tmp_path / 'a')
    path = tmp_path / 'a' / 'settings.json'
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != key}))
    with pytest.raises(UserError, match=rf'settings.json: {key}: found None, expected a'):
        find_source(tmp_path / 'a')


@pytest.mark.parametrize(('changes', 'message'), [
    (dict(title=None), 'title: found None, expected a str'),
    (dict(colour='blue'), "found 'colour', expected some of title")])
def test_facts_that_are_none(checkpoint, tmp_path, changes, message):
    (tmp_path / 'facts.json').write_text(json.dumps(FACTS | changes))
    code, _, err = run_tool(
        'model_converters/export_to_zoo', str(checkpoint), str(tmp_path / 'out'), '--facts',
        str(tmp_path / 'facts.json'))
    assert code == 2
    assert message in err
    assert not (tmp_path / 'out').exists()


def test_the_command_lists_models_and_shows_a_card(exported, monkeypatch, capsys):
    monkeypatch.setattr(models, 'ZOO', exported.parent)
    assert main(['models']) == 0
    printed = capsys.readouterr().out
    assert printed.startswith('chance (default): Cells, drawn by chance\n')
    assert 'classes shsy5y, astro, cort; mAP 0.100; CC BY-NC 4.0; 0.' in printed
    for name in ('chance', 'zoo://chance'):
        assert main(['models', name]) == 0
        assert capsys.readouterr().out.startswith('# chance\n')
    assert main(['models', 'luck']) == 2
    assert 'luck: no such model in the package, expected one of chance' in capsys.readouterr().err
    assert main(['models', 'change']) == 2
    assert capsys.readouterr().err.endswith('one of chance (did you mean chance?)\n')

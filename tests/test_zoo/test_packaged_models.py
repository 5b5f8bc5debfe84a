"""The models that come with the package: whole, small enough, honest about their licence."""
import os
from pathlib import Path

import numpy as np
import pytest

from mmsart.apis import predictor
from mmsart.apis.export import SETTINGS_FACTS, read_facts
from mmsart.apis.inference import CellSegmenter
from mmsart.datasets.sartorius import SartoriusDataset
from mmsart.datasets.synthetic import generate_image
from mmsart.evaluation.functional import mask_ious, score_image
from mmsart.formats.submission import read_submission
from mmsart.structures.mask.rle import parse_rles
from mmsart.zoo import default_model, list_models
from tests.run_tool import ROOT, run_tool

MOST_BYTES = 15_000_000


@pytest.fixture(params=list_models(), ids=lambda model: model.name)
def model(request):
    return request.param


def test_one_is_the_default():
    assert [each.name for each in list_models() if each.settings['default']] == [
        default_model().name]


def test_weights_are_those_of_the_card(model):
    model.check_weights()
    assert model.weights.stat().st_size <= MOST_BYTES
    card = model.card.read_text()
    assert model.settings['sha256'] in card
    assert 'CC BY-NC 4.0' in model.settings['licence']
    for key in ('mAP_mix', 'What it is not for'):
        assert key in card


def test_settings_and_card_say_what_the_recipe_says(model):
    facts = read_facts(ROOT / 'configs' / 'sartorius' / f'{model.name}.facts.json')
    for key in ('title', 'licence', *SETTINGS_FACTS):
        assert model.settings[key] == facts[key]
    assert facts['score_source'] in model.card.read_text()


def test_it_finds_cells_of_a_generated_image(model):
    """Not what it was trained on: 46 of 72 are hit. A broken file or loader hits none."""
    drawn = generate_image('shsy5y', np.random.default_rng(0), 256, 320)
    result = CellSegmenter(model.name, device='cpu', flips=False)(drawn.image)
    score = score_image(result.frames[0].detections.masks.to_runs(), drawn.runs())
    assert score.tp[0] >= len(drawn) / 4


@pytest.fixture
def plain(model, monkeypatch):
    """The model as it was trained: nothing folded, in torch's usual order."""
    with monkeypatch.context() as patch:
        patch.setattr(predictor, 'fold_for_inference', lambda detector: None)
        return CellSegmenter(model.name, device='cpu', flips=False)


def test_fast_inference_moves_outlines_by_pixels(model, plain):
    drawn = generate_image('shsy5y', np.random.default_rng(0), 256, 320)
    fast = CellSegmenter(model.name, device='cpu', flips=False)
    one, other = (each(drawn.image).frames[0].detections.masks.to_runs()
                  for each in (fast, plain))
    assert len(one) > 20
    assert abs(len(one) - len(other)) <= 1
    best = mask_ious(one, other).toarray().max(axis=1)
    assert np.sort(best)[1] > 0.98  # one cell may have passed a threshold


@pytest.mark.skipif('SARTORIUS_ROOT' not in os.environ, reason='needs the real images')
def test_fast_inference_keeps_the_score(model, plain):
    data = SartoriusDataset(
        data_root=os.environ['SARTORIUS_ROOT'], data_prefix=dict(img='train/'),
        indices=list(range(0, 420, 60)), pipeline=[])
    fast = CellSegmenter(model.name, device='cpu', flips=False)
    scores = []
    for sample in map(data.get_data_info, range(len(data))):
        truth = parse_rles([instance['mask'] for instance in sample['instances']])
        scores.append([
            score_image(each(sample['img_path']).frames[0].detections.masks.to_runs(), truth)
            .precision.mean() for each in (fast, plain)])
    one, other = np.mean(scores, axis=0)
    assert one > 0.1
    assert one == pytest.approx(other, abs=1e-3)


@pytest.mark.skipif('SARTORIUS_ROOT' not in os.environ, reason='needs the real images')
def test_it_knows_the_images_it_was_trained_on(model):
    data = SartoriusDataset(
        data_root=os.environ['SARTORIUS_ROOT'], data_prefix=dict(img='train/'),
        indices=[0, 50, 100], pipeline=[])
    segmenter = CellSegmenter(model.name, device='cpu', flips=False)
    for sample in map(data.get_data_info, range(len(data))):
        truth = parse_rles([instance['mask'] for instance in sample['instances']])
        found = segmenter(sample['img_path']).frames[0].detections
        assert score_image(found.masks.to_runs(), truth).tp[0] >= 0.3 * len(sample['instances'])
        types = {segmenter.classes[label] for label in found.labels}
        assert types == {sample['cell_type']}


@pytest.mark.skipif('SARTORIUS_ROOT' not in os.environ, reason='needs the real images')
def test_a_test_and_a_prediction_give_one_submission(model, tmp_path):
    """Of real images, to the last byte, and so the score to the last digit."""
    root = Path(os.environ['SARTORIUS_ROOT'])
    code, _, err = run_tool(
        'test', f'configs/sartorius/{model.name}.py', str(model.weights), '--work-dir',
        str(tmp_path / 'work'), '--submission', str(tmp_path / 'tested.csv'), '--cfg-options',
        f'data_root={root}', 'model.flip_directions=[]', 'test_dataloader.num_workers=0',
        'test_dataloader.dataset.indices=[0,40]')
    assert code == 0, err
    tested = read_submission(tmp_path / 'tested.csv')
    images = [str(root / 'train' / f'{name}.png') for name in dict.fromkeys(tested.ids)]
    code, _, err = run_tool('predict', *images, '--out', str(tmp_path / 'out'), '--weights',
                            model.name, '--no-flips', '--device', 'cpu', '--save', 'submission')
    assert code == 0, err
    assert (tmp_path / 'out' / 'submission.csv').read_bytes() == (
        tmp_path / 'tested.csv').read_bytes()

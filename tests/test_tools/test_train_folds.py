"""A cross-validation by one command, interrupted and finished."""
import numpy as np
import pandas as pd
import pytest

from mmsart.apis import folds
from mmsart.formats.predictions import load_predictions
from tests.run_tool import ROOT, run_tool
from tests.sample_data import write_sample
from tests.test_tools.test_end_to_end import CONFIG, SMALL

OPTIONS = [*SMALL, 'train_cfg.stages.1.max_epochs=1', 'train_cfg.val_begin=9',
           'model.test_cfg.rcnn.max_per_img=20']


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_sample(tmp_path_factory.mktemp('sample') / 'data', 4, side=64)


def test_every_image_is_predicted_by_a_model_that_did_not_see_it(data, tmp_path, monkeypatch):
    trained = []

    def train(cfg, resume, amp):
        dataset = cfg.train_dataloader.dataset
        trained.append((dataset.split.fold, cfg.val_dataloader.dataset.split.fold, resume))
        return real_train(cfg, resume, amp)

    real_train = folds.train_model
    monkeypatch.setattr(folds, 'train_model', train)
    command = ['train_folds', CONFIG, '--folds', '2', '--work-dir', tmp_path / 'cv']
    options = ['--cfg-options', f'data_root={data}', *OPTIONS]
    code, out, err = run_tool(*command, '--only', '1', *options)
    assert code == 0, err
    assert 'other folds are not done yet' in out
    assert not (tmp_path / 'cv' / 'out_of_fold.pkl').exists()
    code, out, err = run_tool(*command, *options)
    assert code == 0, err
    assert 'fold 1: done' in out
    assert trained == [(1, 1, 'auto'), (0, 0, 'auto')]
    parts = [load_predictions(tmp_path / 'cv' / f'fold{fold}' / 'predictions.pkl')
             for fold in (0, 1)]
    joined = load_predictions(tmp_path / 'cv' / 'out_of_fold.pkl')
    names = sorted(image.img_id for part in parts for image in part.images)
    assert [image.img_id for image in joined.images] == names
    assert set(names) == set(pd.read_csv(data / 'train.csv').id)
    assert all(image.detections.mask_probs is not None for image in joined.images)
    assert np.isfinite(joined.images[0].detections.scores).all()

    # Killed between a fold's training and its predictions: it goes on from the end.
    (tmp_path / 'cv' / 'fold0' / 'predictions.pkl').unlink()
    code, _, err = run_tool(*command, *options)
    assert code == 0, err
    again = load_predictions(tmp_path / 'cv' / 'out_of_fold.pkl')
    for one, other in zip(again.images, joined.images, strict=True):
        assert one.detections.masks.to_rles() == other.detections.masks.to_rles()

    code, _, err = run_tool(*command, '--seed', '1', *options)
    assert code == 2
    assert 'folds.json: seed: found 0, expected 1; another --work-dir' in err
    code, _, err = run_tool(*command, *options, 'model.test_cfg.rcnn.max_per_img=5')
    assert code == 2
    assert 'folds.json: cfg_options: found' in err
    other = tmp_path / 'other.py'
    other.write_text(f"_base_ = '{ROOT / CONFIG}'\n")
    code, _, err = run_tool('train_folds', other, *command[2:], *options)
    assert code == 2
    assert 'config: found maskrcnn_r18_two_stage.py, expected other.py' in err


@pytest.mark.parametrize(('config', 'arguments', 'message'), [
    (CONFIG, ['--folds', '1'], '--folds: found 1, expected at least 2'),
    (CONFIG, ['--only', '0', '5'], '--only: found 0 5, expected numbers from 0 to 4'),
    ('configs/sartorius/cascade_lite2_pretrain.py', [], 'found no data set with a split')])
def test_what_cannot_be_split(tmp_path, config, arguments, message):
    code, _, err = run_tool('train_folds', config, *arguments, '--work-dir', tmp_path / 'cv')
    assert code == 2
    assert message in err
    assert not (tmp_path / 'cv').exists()

"""A cross-validation by one command, interrupted and finished."""
import json

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from mmdet.registry import DATASETS
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmsart.apis import folds
from mmsart.evaluation.metrics import PredictionWriter
from mmsart.formats.predictions import load_predictions
from mmsart.structures.mask.cropped_masks import CroppedMasks
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


COCO = """
one = dict(
    type='CheckedCocoDataset', ann_file='all.json', data_prefix=dict(img=''),
    metainfo=dict(classes=('cell',)), split=dict(type='holdout'), pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape'))])
train_dataloader = dict(dataset=dict(one, subset='train'))
val_dataloader = dict(dataset=dict(one, subset='val', test_mode=True))
test_dataloader = val_dataloader
model = dict(type='SoftTeacher', detector=dict(type='MaskRCNN', test_cfg=dict(rcnn=dict())))
"""


def find_nothing(cfg, checkpoint, out):
    """Stand in for a test: write predictions of the test images without a cell."""
    init_default_scope('mmdet')
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    writer = PredictionWriter(out)
    writer.dataset_meta = dataset.metainfo
    nothing = InstanceData(scores=torch.zeros(0), labels=torch.zeros(0), bboxes=torch.zeros(0, 4),
                           masks=CroppedMasks.from_bitmaps(np.zeros((0, 8, 8), np.uint8)))
    for packed in dataset:
        packed['data_samples'].pred_instances = nothing
        writer.process(None, [packed['data_samples'].to_dict()])
    writer.evaluate(len(dataset))


def test_folds_of_images_that_share_a_name_are_joined(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        (tmp_path / f'p{number}').mkdir()
        cv2.imwrite(f'p{number}/frame.png', np.zeros((8, 8), np.uint8))
    (tmp_path / 'all.json').write_text(json.dumps(dict(
        images=[dict(id=number, file_name=f'p{number}/frame.png', height=8, width=8)
                for number in range(4)],
        annotations=[dict(id=number, image_id=number, category_id=1, iscrowd=0, area=4,
                          bbox=[1, 1, 2, 2], segmentation=[[1, 1, 3, 1, 3, 3, 1, 3]])
                     for number in range(4)], categories=[dict(id=1, name='cell')])))
    (tmp_path / 'config.py').write_text(COCO)
    tested = []
    monkeypatch.setattr(folds, 'train_model', lambda cfg, resume, amp: None)
    monkeypatch.setattr(folds, 'test_model', lambda cfg, checkpoint, out: (
        tested.append(cfg), find_nothing(cfg, checkpoint, out)))
    joined = folds.train_folds('config.py', 'cv', folds=4)
    assert [image.img_id for image in load_predictions(joined).images] == [
        f'p{number}_frame' for number in range(4)]
    for fold, cfg in enumerate(tested):
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            assert loader.dataset.split == dict(type='kfold', n=4, fold=fold, seed=0)
        assert cfg.model.detector.test_cfg.rcnn.keep_mask_logits  # whatever asks the detector

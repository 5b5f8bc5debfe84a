"""Caps that are reached are named, others are not, and predictions stay what they are."""
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.hub import get_config
from mmengine.structures import InstanceData
from torch import nn

from mmsart.engine.hooks import CapReportHook
from mmsart.models.caps import ReachedCap, describe_caps, watch_caps
from tests.test_models.tiny_mask_rcnn import batch, build

WIDE = dict(nms_pre=100_000, max_per_img=100_000)


@pytest.fixture(scope='module')
def detector():
    """Return a detector whose RPN takes some places for objects, with caps that none reaches."""
    model = build(ours=True).eval()
    nn.init.normal_(model.rpn_head.rpn_cls.weight, std=0.5)
    return model


@pytest.fixture
def model(detector):
    for settings in (detector.rpn_head.test_cfg, detector.test_cfg.rpn):
        settings.update(WIDE)
    detector.roi_head.test_cfg.update(max_per_img=100_000)
    detector.test_cfg.rcnn.update(max_per_img=100_000)
    return detector


def set_cap(model, key, value):
    *_, part, name = key.split('.')
    head = model.rpn_head if part == 'rpn' else model.roi_head
    for settings in (head.test_cfg, model.test_cfg[part]):
        settings[name] = value


def predict(model, images=2):
    data = model.data_preprocessor(batch(True, np.random.default_rng(1)), False)
    for number, sample in enumerate(data['data_samples']):
        sample.set_metainfo(dict(img_path=f'/data/{number}.png'))
    with torch.no_grad():
        return model(**data, mode='predict')


def proposals(model):
    """Return the objectness of the proposals of each image, and of all places on each level."""
    data = model.data_preprocessor(batch(True, np.random.default_rng(1)), False)
    with torch.no_grad():
        features = model.extract_feat(data['inputs'])
        kept = model.rpn_head.predict(features, data['data_samples'])
        levels = model.rpn_head(features)[0]
    return [result.scores for result in kept], [level.sigmoid() for level in levels]


def reached(model):
    with watch_caps(model) as found:
        predict(model)
    return {(cap.key, cap.image) for cap in found}


def test_wide_caps_are_not_reached(model):
    assert reached(model) == set()


@pytest.mark.parametrize('cap', [1, 7])
def test_detections(model, cap):
    key = 'model.test_cfg.rcnn.max_per_img'
    counts = [len(sample.pred_instances) for sample in predict(model)]
    assert min(counts) > cap
    set_cap(model, key, cap)
    assert reached(model) == {(key, '0.png'), (key, '1.png')}
    set_cap(model, key, max(counts) + 1)
    assert reached(model) == set()


def test_proposals_count_down_to_even_odds(model):
    key = 'model.test_cfg.rpn.max_per_img'
    kept, _ = proposals(model)
    objects = [int((scores >= 0.5).sum()) for scores in kept]
    assert 1 < min(objects) < min(map(len, kept))
    set_cap(model, key, min(objects) - 1)
    assert reached(model) == {(key, '0.png'), (key, '1.png')}
    set_cap(model, key, max(objects) + 1)  # cuts background alone
    assert max(objects) + 1 < min(map(len, kept))
    assert reached(model) == set()


def test_candidates_of_a_level_count_down_to_even_odds(model):
    key = 'model.test_cfg.rpn.nms_pre'
    _, levels = proposals(model)
    objects = [[int((image > 0.5).sum()) for image in level] for level in levels]
    most = [max(level[image] for level in objects) for image in (0, 1)]
    set_cap(model, key, min(most) - 1)
    assert reached(model) == {(key, '0.png'), (key, '1.png')}
    set_cap(model, key, max(most))
    assert reached(model) == set()


def test_predictions_are_the_same_and_the_model_is_left_as_it_was(model):
    expected = predict(model)
    with watch_caps(model):
        found = predict(model)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.pred_instances.scores, other.pred_instances.scores)
    for module in (model, model.rpn_head):
        assert 'predict' not in vars(module)
        assert not module._forward_hooks


def test_nothing_is_watched_after_an_error(model):
    with pytest.raises(RuntimeError, match='stop'), watch_caps(model):
        raise RuntimeError('stop')
    assert 'predict' not in vars(model)


def one_stage(name, **changes):
    cfg = get_config(name).model
    cfg.backbone.update(init_cfg=None, **changes)
    cfg.train_cfg = None
    cfg.test_cfg.update(score_thr=0.0)
    torch.manual_seed(0)
    model = MODELS.build(cfg).eval()
    samples = [DetDataSample(metainfo=dict(
        img_id=7, img_shape=(64, 64), ori_shape=(64, 64), pad_shape=(64, 64), batch_input_shape=(
            64, 64), scale_factor=(1., 1.)))]
    return model, samples


@pytest.mark.parametrize(('name', 'changes', 'keys'), [
    ('mmdet::retinanet/retinanet_r18_fpn_1x_coco.py', {}, {'nms_pre', 'max_per_img'}),
    # Its head gives one map for boxes and classes, which is not counted.
    ('mmdet::yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py', {}, {'max_per_img'})])
def test_one_stage_detectors(name, changes, keys):
    model, samples = one_stage(name, **changes)
    if hasattr(model.bbox_head, 'retina_cls'):
        nn.init.constant_(model.bbox_head.retina_cls.bias, 1.)
    model.test_cfg.update(nms_pre=50, max_per_img=5)
    model.bbox_head.test_cfg.update(nms_pre=50, max_per_img=5)
    with watch_caps(model) as found, torch.no_grad():
        model(torch.randn(1, 3, 64, 64), samples, mode='predict')
    assert {cap.key for cap in found} == {f'model.test_cfg.{key}' for key in keys}
    assert {cap.image for cap in found} == {'7'}


class Queries(nn.Module):
    """A detector that always gives as many detections as it has queries."""

    def __init__(self, scores):
        super().__init__()
        self.test_cfg, self.scores = dict(max_per_img=3), scores

    def predict(self, batch_inputs, batch_data_samples, rescale=True):
        for sample in batch_data_samples:
            sample.pred_instances = InstanceData(scores=torch.tensor(self.scores))
        return batch_data_samples


@pytest.mark.parametrize(('scores', 'expected'), [([.9, .8, .7], 1), ([.9, .8, .001], 0)])
def test_queries_that_found_nothing_fill_no_cap(scores, expected):
    model = Queries(scores)
    with watch_caps(model) as found:
        model.predict(torch.zeros(1), [DetDataSample(metainfo=dict(img_id='a'))])
    assert len(found) == expected


def test_lines_name_images_key_and_value():
    found = [ReachedCap(f'{number}.png', 'model.test_cfg.rcnn.max_per_img', 1000)
             for number in (3, 1, 3)] + [ReachedCap('1.png', 'model.test_cfg.rpn.nms_pre', 4000)]
    assert describe_caps(found, 84) == [
        'model.test_cfg.rcnn.max_per_img=1000 was reached in 2 of 84 images, which may hold more: '
        '3.png, 1.png; raise it',
        'model.test_cfg.rpn.nms_pre=4000 was reached in 1 of 84 images, which may hold more: '
        '1.png; raise it']
    assert describe_caps(found, 84, shown=1)[0].endswith('3.png and 1 more; raise it')
    assert describe_caps([], 84) == []


def test_the_hook_reports_once_after_the_test(model, caplog):
    set_cap(model, 'model.test_cfg.rcnn.max_per_img', 3)
    runner, hook = SimpleNamespace(model=model, logger=logging.getLogger('test')), CapReportHook()
    for _ in range(2):  # a second validation begins from nothing
        caplog.clear()
        hook.before_test_epoch(runner)
        hook.after_test_iter(runner, 0, outputs=predict(model))
        hook.after_test_epoch(runner)
        assert [record.getMessage() for record in caplog.records] == [
            'model.test_cfg.rcnn.max_per_img=3 was reached in 2 of 2 images, which may hold more: '
            '0.png, 1.png; raise it']
    predict(model)
    assert hook._watching is not None
    assert 'predict' not in vars(model)

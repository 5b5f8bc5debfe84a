"""Several detectors as one, against each of them asked alone."""
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData

from mmsart.models.caps import watch_caps
from mmsart.models.detectors.members import detectors_of
from mmsart.models.fast_inference import fold_for_inference
from mmsart.postprocessing.fusion import fuse_detections
from mmsart.structures.data_samples import to_detections
from mmsart.utils import UserError
from tests.test_models.tiny_mask_rcnn import config, pictures


def member(mean):
    model = config(ours=True)
    model.data_preprocessor.mean = [mean] * 3
    return model


def ensemble(**options):
    torch.manual_seed(0)
    detector = MODELS.build(dict(
        type='MaskEnsemble', members=[member(100.), member(150.)]) | options)
    for each in (part for one in detector.members for part in detectors_of(one)):
        each.init_weights()
        torch.nn.init.normal_(each.roi_head.bbox_head.fc_reg.weight, std=0.1)
        torch.nn.init.constant_(each.roi_head.mask_head.conv_logits.bias, 2)  # fills its box
    return detector.eval()


@torch.no_grad()
def test_members_are_asked_in_their_own_way_and_fused():
    detector, data = ensemble(weights=[1, 3], fuse_iou_thr=0.3), pictures()
    found = [to_detections(sample) for sample in detector.test_step(data)]
    alone = [[to_detections(sample) for sample in each.test_step(pictures())]
             for each in detector.members]
    assert len(found[0]) < len(alone[0][0]) + len(alone[1][0]), 'nothing was fused'
    assert not np.allclose(alone[0][0].scores[:10], alone[1][0].scores[:10])
    for number in (0, 1):
        expected = fuse_detections([each[number] for each in alone], [1, 3], 0.3)
        np.testing.assert_allclose(found[number].scores, expected.scores, rtol=1e-6)
        np.testing.assert_array_equal(found[number].labels, expected.labels)
        assert found[number].masks.to_rles() == expected.masks.to_rles()
        np.testing.assert_allclose(found[number].mask_probs, expected.mask_probs, atol=1e-3)


@torch.no_grad()
def test_what_acts_on_a_detector_acts_on_each_member():
    detector = ensemble()
    assert detectors_of(detector) == list(detector.members)
    assert detectors_of(detector.members[0]) == [detector.members[0]]
    before = to_detections(detector.test_step(pictures())[0])
    undo = fold_for_inference(detector)
    folded = detector.members[1].backbone.bn1
    assert isinstance(folded, torch.nn.Identity)
    found = to_detections(detector.test_step(pictures())[0])
    np.testing.assert_allclose(found.scores[:5], before.scores[:5], atol=1e-4)
    undo()
    assert detector.members[1].backbone.bn1 is not folded
    with watch_caps(detector) as caps:
        detector.test_step(pictures())
    for number in (0, 1):
        key = f'model.members.{number}.test_cfg.rcnn.max_per_img'
        assert [cap.image for cap in caps if cap.key == key] == ['0', '1']


@torch.no_grad()
def test_a_member_may_have_views_of_its_own():
    views = dict(type='MaskTTA', detector=member(150.), views=[dict(), dict(flip='horizontal')])
    detector, data = ensemble(members=[member(100.), views]), pictures()
    alone = [to_detections(each.test_step(pictures())[0]) for each in detector.members]
    found = to_detections(detector.test_step(data)[0])
    expected = fuse_detections(alone)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-6)
    assert found.masks.to_rles() == expected.masks.to_rles()


@torch.no_grad()
def test_a_member_without_masks_is_named():
    boxes = member(150.)
    boxes.roi_head = dict(type='StandardRoIHead', **{
        key: boxes.roi_head[key] for key in ('bbox_roi_extractor', 'bbox_head')})
    detector = ensemble()
    detector.members[1] = MODELS.build(boxes).eval()
    with pytest.raises(UserError, match='found a MaskRCNN that gives boxes alone'):
        detector.test_step(pictures())


def test_it_is_not_trained():
    with pytest.raises(UserError, match='members are trained one by one'):
        ensemble()(*pictures().values(), mode='loss')


@pytest.mark.parametrize(('options', 'message'), [
    (dict(members=[member(1.)]), 'model.members: found .* expected a list of two'),
    (dict(weights=[1]), r'model.weights: found \[1\], expected 2 numbers above 0'),
    (dict(weights=[1, 0]), 'model.weights'),
    (dict(weights=[1, '2']), 'model.weights'),
    (dict(fuse_iou_thr='high'), "model.fuse_iou_thr: found 'high', expected"),
    (dict(fuse_iou_thr=1), 'model.fuse_iou_thr: found 1, expected')])
def test_bad_arguments(options, message):
    with pytest.raises(UserError, match=message):
        ensemble(**options)


def test_instances_may_be_none():
    detector = ensemble()
    for each in detector.members:
        each.roi_head.test_cfg.score_thr = 1.0
    sample = detector.test_step(pictures())[0]
    assert isinstance(sample.pred_instances, InstanceData)
    assert not len(to_detections(sample))

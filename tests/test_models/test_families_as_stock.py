"""Detectors of other families with our parts against the same networks with stock's."""
import re
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.models.roi_heads import MaskScoringRoIHead
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope

import mmsart.registration  # noqa: F401
from mmsart.models import mask_painting
from mmsart.models.dense_heads import cropped_solov2_head
from mmsart.models.roi_heads import masks_in_parts
from mmsart.structures.mask.cropped_masks import CroppedMasks, as_cropped
from tests.small_configs import small_config

from .tiny_mask_rcnn import HEIGHT, WIDTH, batch

STOCK = {
    'CroppedCascadeRoIHead': 'CascadeRoIHead',
    'CroppedCoarseMaskHead': 'CoarseMaskHead',
    'CroppedDynamicMaskHead': 'DynamicMaskHead',
    'CroppedFCNMaskHead': 'FCNMaskHead',
    'CroppedHTCMaskHead': 'HTCMaskHead',
    'CroppedHTCRoIHead': 'HybridTaskCascadeRoIHead',
    'CroppedMask2FormerHead': 'Mask2FormerHead',
    'CroppedMaskFormerFusionHead': 'MaskFormerFusionHead',
    'CroppedMaskPointHead': 'MaskPointHead',
    'CroppedMaskRoIHead': 'StandardRoIHead',
    'CroppedMaskScoringRoIHead': 'MaskScoringRoIHead',
    'CroppedPointRendRoIHead': 'PointRendRoIHead',
    'CroppedRTMDetInsSepBNHead': 'RTMDetInsSepBNHead',
    'CroppedSOLOV2Head': 'SOLOV2Head',
    'DenseMaxIoUAssigner': 'MaxIoUAssigner',
}
TWO_STAGES = ['cascade_r50', 'htc_r50', 'ms_rcnn_r50', 'point_rend_r50']
FAMILIES = [*TWO_STAGES, 'mask2former_r50', 'queryinst_r50', 'rtmdet_ins_s', 'solov2_r50']


def with_stock_parts(node: Any) -> Any:
    if isinstance(node, dict):
        return ConfigDict({key: with_stock_parts(value) for key, value in node.items()})
    if isinstance(node, list | tuple):
        return [with_stock_parts(value) for value in node]
    return STOCK.get(node, node) if isinstance(node, str) else node


@pytest.fixture(scope='module', params=FAMILIES)
def detectors(request):
    """The detector of a leaf and its twin, with the same random weights."""
    init_default_scope('mmdet')
    model = small_config(f'sartorius/{request.param}.py').model
    rcnn = model.test_cfg.get('rcnn', model.test_cfg)
    if 'score_thr' in rcnn:
        rcnn.score_thr = 0.0
    built = []
    for config in (with_stock_parts(model), model):
        torch.manual_seed(0)
        detector = MODELS.build(config)
        detector.init_weights()
        with torch.no_grad():  # fresh dense heads see nothing anywhere
            for name, weight in detector.named_parameters():
                if re.search(r'conv_cls|conv_kernel|rtm_cls|rtm_kernel', name):
                    weight.mul_(20).sub_(weight.mean())
                elif 'fc_reg' in name:  # mmdet's paste fails outside the image
                    weight.mul_(0.01)
        built.append(detector)
    assert built[0].state_dict().keys() == built[1].state_dict().keys()
    return built


def test_solo_targets_of_parts_of_the_cells(detectors, monkeypatch):
    """Cells are given their places part by part, as if all at once."""
    if not hasattr(detectors[1], 'mask_head'):
        pytest.skip('only SOLOv2 has a grid')
    whole = losses(detectors[1], True)
    monkeypatch.setattr(cropped_solov2_head, 'CHUNK_CELLS', 4)
    for name, value in losses(detectors[1], True).items():
        assert torch.equal(value, whole[name])


def losses(detector, ours):
    data = batch(ours, np.random.default_rng(0))
    data = detector.data_preprocessor(data, training=True)
    torch.manual_seed(1)  # of the samplers
    return detector.train().loss(data['inputs'], data['data_samples'])


def predictions(detector, ours, rescale=True, resized=True):
    data = batch(ours, np.random.default_rng(2))
    for sample in data['data_samples'] if resized else ():
        sample.set_metainfo(dict(ori_shape=(HEIGHT // 2, 50), scale_factor=(WIDTH / 50, 2.0)))
    data = detector.eval().data_preprocessor(data, training=False)
    with torch.no_grad():
        return [sample.pred_instances for sample in detector.predict(
            data['inputs'], data['data_samples'], rescale=rescale)]


def test_losses_and_gradients_are_the_same(detectors):
    found, gradients = [], []
    for detector, ours in zip(detectors, (False, True), strict=True):
        terms = losses(detector, ours)
        total = sum(sum(value) if isinstance(value, list) else value
                    for name, value in terms.items() if 'loss' in name)
        detector.zero_grad()
        total.backward()
        found.append({name: float(sum(value) if isinstance(value, list) else value)
                      for name, value in terms.items()})
        gradients.append(torch.cat([
            each.grad.flatten() for each in detector.parameters() if each.grad is not None]))
    assert any('mask' in name for name in found[0])
    assert found[1] == pytest.approx(found[0], rel=1e-5, abs=1e-6)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-5)


def an_image_at_a_time(predict_mask):
    """Call a RoI head's ``predict_mask`` for each image by itself."""
    def call(x, batch_img_metas, results_list, rescale):
        images = zip(zip(*(level.split(1) for level in x), strict=True), batch_img_metas,
                     results_list, strict=True)
        return [predict_mask(maps, [meta], [found], rescale)[0] for maps, meta, found in images]
    return call


@pytest.mark.parametrize('rescale', [True, False])
def test_predictions_are_the_same(detectors, rescale, monkeypatch):
    stock_head = getattr(detectors[0], 'roi_head', None)
    if isinstance(stock_head, MaskScoringRoIHead):
        # Its scores come from layers on RoIs, which round by how many there are: stock joins those
        # of all images, here each image has its own.
        monkeypatch.setattr(
            stock_head, 'predict_mask', an_image_at_a_time(stock_head.predict_mask))
    for stock, ours in zip(*(predictions(detector, ours, rescale) for detector, ours
                             in zip(detectors, (False, True), strict=True)), strict=True):
        assert len(ours) > 10
        assert isinstance(ours.masks, CroppedMasks)
        if stock.bboxes.any():  # SOLOv2's are all zero
            assert torch.equal(ours.bboxes, stock.bboxes)
        assert torch.equal(ours.labels, stock.labels)
        torch.testing.assert_close(ours.scores, stock.scores, rtol=1e-6, atol=1e-7)
        assert ours.masks.to_rles() == as_cropped(
            stock.masks, ours.masks.height, ours.masks.width).to_rles()


def test_parts_make_no_difference(detectors, monkeypatch):
    whole = predictions(detectors[1], True)
    monkeypatch.setattr(masks_in_parts, 'CHUNK_ROIS', 7)
    monkeypatch.setattr(mask_painting, 'CHUNK_PIXELS', 7 * HEIGHT * WIDTH)
    for one, other in zip(whole, predictions(detectors[1], True), strict=True):
        assert len(one) > 10
        torch.testing.assert_close(other.scores, one.scores, rtol=1e-5, atol=1e-6)
        assert torch.equal(other.bboxes, one.bboxes)
        areas = one.masks.areas
        assert np.abs(other.masks.areas - areas).max() <= 1 + 0.02 * areas.max()


def test_an_image_without_detections_has_no_masks(detectors):
    """Its masks are box-local too, also where thresholds are one per class."""
    detector = detectors[1]
    head = getattr(detector, 'roi_head', None) or getattr(detector, 'bbox_head', None) \
        or getattr(detector, 'mask_head', None)
    if head is None or 'score_thr' not in head.test_cfg:
        pytest.skip('queries always find something')
    test_cfg = head.test_cfg
    before = dict(test_cfg)
    test_cfg.update(score_thr=2.0)
    if hasattr(detector, 'roi_head'):
        test_cfg.update(mask_thr_binary=[0.5, 0.4, 0.3])
    for found in predictions(detectors[1], True):
        assert isinstance(found.masks, CroppedMasks)
        assert (len(found), found.masks.height, found.masks.width) == (0, HEIGHT // 2, 50)
    test_cfg.update(before)

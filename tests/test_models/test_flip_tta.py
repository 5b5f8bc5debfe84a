"""Test-time flips: what each part averages, against the same done by hand."""
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_xyxy_to_cxcywh

from mmsart.models.detectors.flip_tta_mask_rcnn import DIMENSIONS
from mmsart.models.roi_heads.flip_tta_roi_head import FlippedView
from mmsart.utils import UserError
from tests.test_models.tiny_mask_rcnn import batch, build, config


def flipping(*directions):
    model = config(ours=True)
    model.update(type='FlipTTAMaskRCNN', flip_directions=directions)
    model.roi_head.update(type='FlipTTARoIHead')
    torch.manual_seed(0)
    detector = MODELS.build(model)
    detector.init_weights()
    torch.nn.init.normal_(detector.roi_head.bbox_head.fc_reg.weight, std=0.3)
    torch.nn.init.normal_(detector.roi_head.bbox_head.fc_cls.weight, std=0.3)
    return detector.eval()


@pytest.fixture
def images():
    return torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 64, 96))).float()


@pytest.fixture
def rois():
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, (70, 40), (30, 2))
    boxes = np.hstack([rng.integers(0, 2, (30, 1)), corners, corners + rng.uniform(6, 24, (30, 2))])
    return torch.from_numpy(boxes).float()


def views(detector, images, *directions):
    return [FlippedView(detector.extract_feat(images.flip(dims)), dims, images.shape[-2:])
            for dims in [(), *(DIMENSIONS[name] for name in directions)]]


def mirrored(rois, width=96):
    return torch.stack(
        [rois[:, 0], width - rois[:, 3], rois[:, 2], width - rois[:, 1], rois[:, 4]], 1)


@torch.no_grad()
def test_boxes_and_scores_are_means_over_a_mirror_image(images, rois):
    detector = flipping('horizontal')
    head, coder = detector.roi_head, detector.roi_head.bbox_head.bbox_coder
    ours = head._bbox_forward(views(detector, images, 'horizontal'), rois)
    plain = head._bbox_forward(detector.extract_feat(images), rois)
    flipped = head._bbox_forward(detector.extract_feat(images.flip(-1)), mirrored(rois))

    probs = (plain['cls_score'].softmax(-1) + flipped['cls_score'].softmax(-1)) / 2
    torch.testing.assert_close(ours['cls_score'].softmax(-1), probs)

    def boxes(rois, deltas):  # of the first class: centres and sizes
        return bbox_xyxy_to_cxcywh(coder.decode(rois[:, 1:], deltas[:, :4]))

    here, there = boxes(rois, plain['bbox_pred']), boxes(mirrored(rois), flipped['bbox_pred'])
    assert (here[:, 0] - (96 - there[:, 0])).abs().max() > 0.1, 'nothing to average'
    found = boxes(rois, ours['bbox_pred'])
    torch.testing.assert_close(found[:, 0], (here[:, 0] + 96 - there[:, 0]) / 2)
    torch.testing.assert_close(found[:, 1], (here[:, 1] + there[:, 1]) / 2)
    torch.testing.assert_close(found[:, 2:], (here[:, 2:] * there[:, 2:]).sqrt())  # deltas are logs


@torch.no_grad()
def test_masks_are_means_over_a_mirror_image(images, rois):
    detector = flipping('horizontal')
    head = detector.roi_head
    ours = head._mask_forward(views(detector, images, 'horizontal'), rois)['mask_preds'].sigmoid()
    plain = head._mask_forward(detector.extract_feat(images), rois)['mask_preds'].sigmoid()
    flipped = head._mask_forward(
        detector.extract_feat(images.flip(-1)), mirrored(rois))['mask_preds'].sigmoid().flip(-1)
    assert (plain - flipped).abs().max() > 1e-3, 'nothing to average'
    torch.testing.assert_close(ours, (plain + flipped) / 2)


@torch.no_grad()
@pytest.mark.parametrize('direction', DIMENSIONS)
def test_with_all_flips_a_mirror_image_gets_mirrored_answers(images, rois, direction):
    """Fails where a flip of boxes, deltas or masks is off, in whichever direction."""
    detector, dims = flipping(*DIMENSIONS), DIMENSIONS[direction]
    turn = FlippedView((), dims, (64, 96))
    here = views(detector, images, *DIMENSIONS)
    there = views(detector, images.flip(dims), *DIMENSIONS)
    head, flipped = detector.roi_head, turn.flip_rois(rois)
    boxes, other = head._bbox_forward(here, rois), head._bbox_forward(there, flipped)
    torch.testing.assert_close(boxes['cls_score'], other['cls_score'], atol=1e-4, rtol=1e-4)
    decode = head.bbox_head.bbox_coder.decode
    found, mirror = (
        torch.hstack([rois[:, :1], decode(rois[:, 1:], deltas['bbox_pred'][:, :4])])
        for rois, deltas in ((rois, boxes), (flipped, other)))
    torch.testing.assert_close(found, turn.flip_rois(mirror), atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(
        head._mask_forward(here, rois)['mask_preds'],
        head._mask_forward(there, flipped)['mask_preds'].flip(dims), atol=1e-4, rtol=1e-4)


def test_without_directions_it_is_mask_rcnn():
    stock, ours = build(ours=True).eval(), flipping()
    stock.load_state_dict(ours.state_dict())
    data = batch(ours=True, rng=np.random.default_rng(0))
    with torch.no_grad():
        for a, b in zip(stock.test_step(data), ours.test_step(data), strict=True):
            assert len(a.pred_instances) > 5
            torch.testing.assert_close(a.pred_instances.scores, b.pred_instances.scores)
            torch.testing.assert_close(a.pred_instances.bboxes, b.pred_instances.bboxes)
            assert (a.pred_instances.masks.areas == b.pred_instances.masks.areas).mean() > 0.9


@torch.no_grad()
def test_flips_change_what_a_whole_test_finds():
    data = batch(ours=True, rng=np.random.default_rng(0))
    plain, flipped = (
        flipping(*names).test_step(data)[0].pred_instances for names in ((), DIMENSIONS))
    assert len(flipped)
    assert len(flipped.masks) == len(flipped)
    assert not torch.equal(plain.scores[:5], flipped.scores[:5])


def test_it_learns_as_mask_rcnn_does():
    stock, ours = build(ours=True), flipping(*DIMENSIONS)
    stock.load_state_dict(ours.state_dict())
    losses = []
    for detector in (stock.train(), ours.train()):
        data = batch(ours=True, rng=np.random.default_rng(0))
        torch.manual_seed(0)  # of the samplers
        found = detector(**detector.data_preprocessor(data, True), mode='loss')
        losses.append(torch.stack([torch.as_tensor(found[name]).sum() for name in (
            'loss_cls', 'loss_bbox', 'loss_mask')]))
    torch.testing.assert_close(*losses)


@pytest.mark.parametrize(('directions', 'head', 'message'), [
    (['sideways'], 'FlipTTARoIHead', r"found \['sideways'\], expected a list of some of \['hor"),
    (['diagonal', 'diagonal'], 'FlipTTARoIHead', 'each once'),
    (None, 'FlipTTARoIHead', 'found None, expected a list'),
    ('diagonal', 'FlipTTARoIHead', "found 'diagonal', expected a list"),
    ([], 'CroppedMaskRoIHead', 'found CroppedMaskRoIHead, expected FlipTTARoIHead')])
def test_a_wrong_config_is_named(directions, head, message):
    model = config(ours=True)
    model.update(type='FlipTTAMaskRCNN', flip_directions=directions)
    model.roi_head.update(type=head)
    with pytest.raises(UserError, match=message):
        MODELS.build(model)

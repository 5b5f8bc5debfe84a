"""Box heads in stages: each against the same done by hand."""
import copy

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox2roi
from mmengine.structures import InstanceData

from mmsart.models.detectors.flip_tta_mask_rcnn import DIMENSIONS
from mmsart.utils import UserError
from tests.test_models.tiny_mask_rcnn import HEIGHT, WIDTH, batch, config

STDS = ([0.1, 0.1, 0.2, 0.2], [0.05, 0.05, 0.1, 0.1])


def cascade_config(stages=2, directions=(), score_weights=None):
    model = config(ours=True)
    model.update(type='FlipTTAMaskRCNN', flip_directions=list(directions))
    head = model.roi_head.bbox_head
    head.update(reg_class_agnostic=True)
    heads = [copy.deepcopy(head) for _ in range(stages)]
    for each, stds in zip(heads, STDS, strict=False):
        each.bbox_coder.update(target_stds=stds)
    model.roi_head.update(type='CascadeMaskRoIHead', bbox_head=heads,
                          stage_loss_weights=[1.0, 0.5][:stages],
                          stage_score_weights=score_weights)
    strict = copy.deepcopy(model.train_cfg.rcnn)
    strict.assigner.update(pos_iou_thr=0.65, neg_iou_thr=0.65, min_pos_iou=0.65)
    model.train_cfg.rcnn = [model.train_cfg.rcnn, strict][:stages]
    return model


def build(**arguments):
    torch.manual_seed(0)
    detector = MODELS.build(cascade_config(**arguments))
    detector.init_weights()
    for head in detector.roi_head.bbox_heads:
        torch.nn.init.normal_(head.fc_reg.weight, std=0.3)
        torch.nn.init.normal_(head.fc_cls.weight, std=0.3)
    return detector


@torch.no_grad()
@pytest.mark.parametrize('weights', [None, (3.0, 1.0), (1.0, 0.0)])
def test_scores_are_means_over_the_stages_and_boxes_come_from_the_last(weights):
    detector = build(score_weights=weights).eval()
    head = detector.roi_head
    features = detector.extract_feat(torch.randn(1, 3, HEIGHT, WIDTH))
    boxes = torch.tensor([[5., 6, 20, 22], [40, 10, 60, 40], [70, 30, 90, 60]])
    found = head.predict_bbox(
        features, [dict(img_shape=(HEIGHT, WIDTH))], [InstanceData(bboxes=boxes)], None)[0]

    first, second = head.bbox_heads

    def ask(stage_head, rois):
        return stage_head(head.bbox_roi_extractor(features[:4], rois))

    scores, deltas = ask(first, bbox2roi([boxes]))
    refined = first.bbox_coder.decode(boxes, deltas, max_shape=(HEIGHT, WIDTH))
    assert (refined - boxes).abs().max() > 0.1, 'nothing is refined'
    more_scores, deltas = ask(second, bbox2roi([refined]))
    one, other = weights or (1.0, 1.0)
    torch.testing.assert_close(
        found.scores,
        (one * scores.softmax(-1) + other * more_scores.softmax(-1)) / (one + other))
    torch.testing.assert_close(found.bboxes, second.bbox_coder.decode(
        refined, deltas, max_shape=(HEIGHT, WIDTH)))


def test_one_stage_is_the_plain_head():
    plain = cascade_config(stages=1)
    plain.roi_head.update(type='FlipTTARoIHead', bbox_head=plain.roi_head.bbox_head[0])
    for key in ('stage_loss_weights', 'stage_score_weights'):
        plain.roi_head.pop(key)
    plain.train_cfg.rcnn = plain.train_cfg.rcnn[0]
    ours, stock = build(stages=1), MODELS.build(plain)
    stock.load_state_dict(
        {name.replace('bbox_heads.0.', 'bbox_head.'): value
         for name, value in ours.state_dict().items()})
    losses = []
    for detector in (ours.train(), stock.train()):
        data = batch(ours=True, rng=np.random.default_rng(0))
        torch.manual_seed(0)  # of the samplers
        found = detector(**detector.data_preprocessor(data, True), mode='loss')
        losses.append({name.removeprefix('s0.'): value for name, value in found.items()})
    assert losses[0].keys() == losses[1].keys()
    for name in losses[0]:
        torch.testing.assert_close(losses[0][name], losses[1][name])
    with torch.no_grad():
        data = batch(ours=True, rng=np.random.default_rng(0))
        one, other = (each.eval().test_step(data)[0].pred_instances for each in (ours, stock))
    torch.testing.assert_close(one.bboxes, other.bboxes)
    torch.testing.assert_close(one.scores, other.scores)


def test_every_parameter_learns_and_stages_weigh_as_told():
    detector = build().train()
    data = batch(ours=True, rng=np.random.default_rng(0))
    torch.manual_seed(0)
    losses = detector(**detector.data_preprocessor(copy.deepcopy(data), True), mode='loss')
    assert {'s0.loss_cls', 's0.loss_bbox', 's1.loss_cls', 's1.loss_bbox',
            'loss_mask'} <= losses.keys()
    detector.parse_losses(losses)[0].backward()
    assert all(each.grad is not None for each in detector.parameters())
    detector.roi_head.stage_loss_weights = (1.0, 1.0)
    torch.manual_seed(0)
    whole = detector(**detector.data_preprocessor(copy.deepcopy(data), True), mode='loss')
    torch.testing.assert_close(losses['s1.loss_cls'], whole['s1.loss_cls'] / 2)


@torch.no_grad()
def test_flips_and_empty_images():
    data = batch(ours=True, rng=np.random.default_rng(0))
    detector = build(directions=DIMENSIONS).eval()
    found = detector.test_step(data)[0].pred_instances
    assert len(found.masks) == len(found) > 0
    detector.test_cfg.rpn.max_per_img = detector.rpn_head.test_cfg.max_per_img = 0
    assert not len(detector.test_step(data)[0].pred_instances)


def test_training_goes_on_where_no_image_has_a_proposal():
    detector = build().train()
    data = batch(ours=True, rng=np.random.default_rng(0), cells=1)
    for sample in data['data_samples']:
        sample.gt_instances = sample.gt_instances[:0]
    detector.train_cfg.rpn_proposal.max_per_img = 0
    losses = detector(**detector.data_preprocessor(data, True), mode='loss')
    assert torch.isfinite(detector.parse_losses(losses)[0])


@pytest.mark.parametrize(('change', 'message'), [
    (dict(stage_loss_weights=[1.0]), 'one entry for each stage'),
    (dict(bbox_head=cascade_config().roi_head.bbox_head[0]), 'one entry for each stage'),
    (dict(stage_score_weights=[1.0]), 'expected a list of 2 numbers'),
    (dict(stage_score_weights=[]), 'expected a list of 2 numbers'),
    (dict(stage_score_weights=[0.0, 0.0]), 'not all of them 0')])
def test_lists_of_other_lengths_are_named(change, message):
    model = cascade_config()
    model.roi_head.update(change)
    with pytest.raises(UserError, match=message):
        MODELS.build(model)


def test_boxes_by_class_are_refused():
    model = cascade_config()
    model.roi_head.bbox_head[0].update(reg_class_agnostic=False)
    with pytest.raises(UserError, match='reg_class_agnostic'):
        MODELS.build(model)

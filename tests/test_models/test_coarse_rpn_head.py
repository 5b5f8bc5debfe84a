"""Proposals from the coarser maps, against mmdet's head on those maps."""
import numpy as np
import pytest
import torch
from mmdet.models.dense_heads import RPNHead
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from tests.test_models.tiny_mask_rcnn import batch, build


def test_gives_what_mmdets_head_gives_on_the_coarser_maps():
    detector = build(ours=True)
    config = dict(
        in_channels=8, feat_channels=8,
        anchor_generator=dict(
            type='AnchorGenerator', scales=[4], ratios=[1.0], strides=[8, 16, 32, 64]),
        train_cfg=detector.train_cfg.rpn, test_cfg=detector.test_cfg.rpn)
    ours = MODELS.build(dict(type='CoarseRPNHead', **config))
    stock = MODELS.build(dict(type='RPNHead', **config))
    stock.load_state_dict(ours.state_dict())
    data = detector.data_preprocessor(batch(True, np.random.default_rng(0)), True)
    samples = data['data_samples']
    with torch.no_grad():
        maps = detector.extract_feat(data['inputs'])
        losses = []
        for head, feats in ((ours, maps), (stock, maps[1:])):
            torch.manual_seed(0)
            loss, proposals = head.loss_and_predict(
                feats, samples, proposal_cfg=detector.train_cfg.rpn_proposal)
            torch.manual_seed(0)
            again = head.loss(feats, samples)
            losses.append((loss, again, proposals, head.predict(feats, samples)))
    for one, other in zip(losses[0][:2], losses[1][:2], strict=True):
        for name in ('loss_rpn_cls', 'loss_rpn_bbox'):
            assert [float(value) for value in one[name]] == [float(v) for v in other[name]]
        assert len(one['loss_rpn_cls']) == 4
    for one, other in zip(losses[0][2:], losses[1][2:], strict=True):
        for found, expected in zip(one, other, strict=True):
            assert len(found) > 0
            assert torch.equal(found.bboxes, expected.bboxes)


@pytest.mark.parametrize(('spread', 'seen'), [(600, 1), (3, 2)])
def test_proposals_of_the_best_candidates_are_those_of_all(spread, seen, monkeypatch):
    """Apart, so that most stay; and close together, so that the best are not enough."""
    head = MODELS.build(dict(
        type='CoarseRPNHead', in_channels=8, feat_channels=8, anchor_generator=dict(
            type='AnchorGenerator', scales=[4], ratios=[1.0], strides=[8, 16, 32, 64])))
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(2_000, 2, generator=generator) * spread
    sizes = 8 + 40 * torch.rand(2_000, 2, generator=generator)
    candidates = InstanceData(
        bboxes=torch.cat([corners, corners + sizes], 1),
        scores=torch.randperm(2_000, generator=generator) / 2_000,
        level_ids=torch.randint(4, (2_000,), generator=generator))
    cfg = ConfigDict(max_per_img=400, min_bbox_size=0, nms=dict(type='nms', iou_threshold=0.7))
    expected = RPNHead._bbox_post_process(head, candidates[:], cfg)
    calls = []
    stock = RPNHead._bbox_post_process
    monkeypatch.setattr(RPNHead, '_bbox_post_process',
                        lambda *args: calls.append(args) or stock(*args))
    found = head._bbox_post_process(candidates[:], cfg)
    assert len(calls) == seen
    assert torch.equal(found.bboxes, expected.bboxes)
    assert torch.equal(found.scores, expected.scores)

"""NMS in Python, against plain loops and, where they are there, mmcv's compiled operators."""
import numpy as np
import pytest
import torch

from mmsart.ops import nms as ops
from tests.test_ops.compiled import compiled, needs_compiled


def draw(count, seed, size=64):
    """Draw boxes and scores; by the seed with whole coordinates, ties, empty and equal boxes."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * size
    side = 8 + torch.rand(count, 2, generator=generator) * 52
    scores = torch.rand(count, generator=generator)
    if seed % 2 == 0:
        corner, side = corner.round(), side.round()
    if seed % 4 == 0:
        scores = (scores * 5).round() / 5
    if seed % 8 == 4:
        scores = torch.ones(count)
    boxes = torch.cat([corner, corner + side], dim=1)
    if seed % 5 == 0 and count > 3:
        boxes[count // 2] = boxes[0]
        boxes[1:3, 2:] = boxes[1:3, :2]
        boxes[2] = boxes[1]
    return boxes, scores


def plain_iou(one, other, offset):
    def area(x1, y1, x2, y2):
        return (x2 - x1 + offset) * (y2 - y1 + offset)
    width = max(np.float32(0), min(one[2], other[2]) - max(one[0], other[0]) + offset)
    height = max(np.float32(0), min(one[3], other[3]) - max(one[1], other[1]) + offset)
    union = area(*one) + area(*other) - width * height
    return width * height / union if union else np.float32(np.nan)


def plain_nms(boxes, scores, threshold, offset):
    """Go through all boxes, best first, keeping those that no kept one covers."""
    kept = []
    for i in scores.sort(0, descending=True)[1].tolist():
        if not any(plain_iou(boxes[k].numpy(), boxes[i].numpy(), np.float32(offset))
                   > np.float32(threshold) for k in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('threshold', [0.3, 0.7])
def test_nms_keeps_what_a_plain_loop_keeps(threshold, offset):
    for seed in range(10):
        boxes, scores = draw(40, seed)
        assert ops.nms(boxes, scores, threshold, offset).tolist() == plain_nms(
            boxes, scores, threshold, offset)


def test_blocks_make_no_difference(monkeypatch):
    """The blocks are a matter of speed; here they are smaller than any cluster of boxes."""
    cases = [draw(120, seed) for seed in range(8)]
    whole = [ops.nms(boxes, scores, 0.5, 0).tolist() for boxes, scores in cases]
    monkeypatch.setattr(ops, 'BLOCK', 7)
    monkeypatch.setattr(ops, 'CHUNK', 40)
    assert [ops.nms(boxes, scores, 0.5, 0).tolist() for boxes, scores in cases] == whole


def test_a_box_at_the_threshold_stays():
    boxes = torch.tensor([[0., 0, 4, 4], [0, 0, 4, 2]])  # IoU 8 / 16
    scores = torch.tensor([0.9, 0.8])
    assert ops.nms(boxes, scores, 0.5, 0).tolist() == [0, 1]
    assert ops.nms(boxes, scores, 0.4999, 0).tolist() == [0]
    assert ops.nms_match(torch.cat([boxes, scores[:, None]], dim=1), 0.5) == [[0, 1]]


def test_of_equal_scores_the_first_box_wins():
    boxes = torch.tensor([[0., 0, 4, 4]] * 3)
    assert ops.nms(boxes, torch.full((3,), 0.5), 0.5, 0).tolist() == [0]


@needs_compiled
@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('threshold', [0.3, 0.5, 0.7])
def test_nms_keeps_what_the_compiled_operator_keeps(threshold, offset):
    for seed in range(80):
        for count in (0, 1, 2, 17, 255, 256, 257, 700):
            boxes, scores = draw(count, seed, size=(64, 512, 2000)[seed % 3])
            expected = compiled.nms(boxes, scores, iou_threshold=threshold, offset=offset)
            assert torch.equal(ops.nms(boxes, scores, threshold, offset), expected)


SCORES_AFTER = {  # IoU 0.5 with the first box, 0 with the last
    0: [0.9, 0.6],
    1: [0.9, 0.6, 0.8 * 0.5],
    2: [0.9, 0.6, 0.8 * np.exp(-0.25 / 0.5)],
}


@pytest.mark.parametrize('method', SCORES_AFTER)
def test_soft_nms_lowers_scores_by_the_formula(method):
    boxes = torch.tensor([[0., 0, 4, 4], [0, 0, 4, 2], [8, 8, 12, 12]])
    dets = torch.zeros(3, 5)
    kept = ops.softnms(boxes, torch.tensor([0.9, 0.8, 0.6]), dets, 0.3, 0.5, 1e-3, method, 0)
    assert kept.tolist() == [0, 2, 1][:len(kept)]
    np.testing.assert_allclose(dets[:len(kept), 4], SCORES_AFTER[method], rtol=1e-6)
    assert torch.equal(dets[:len(kept), :4], boxes[kept])


@needs_compiled
@pytest.mark.parametrize('method', [0, 1, 2])
def test_soft_nms_gives_what_the_compiled_operator_gives(method):
    for seed in range(30):
        for count, offset, min_score in ((0, 0, 0.2), (1, 1, 1e-3), (40, 1, 0.2), (200, 0, 1e-3)):
            boxes, scores = draw(count, seed, size=100)
            kinds = dict(iou_threshold=0.3, sigma=0.5, min_score=min_score, method=method,
                         offset=offset)
            dets, expected_dets = torch.zeros(count, 5), torch.zeros(count, 5)
            expected = compiled.softnms(boxes, scores, expected_dets, **kinds)
            assert torch.equal(ops.softnms(boxes, scores, dets, **kinds), expected)
            torch.testing.assert_close(dets[:len(expected)], expected_dets[:len(expected)],
                                       rtol=0, atol=1e-6, equal_nan=True)


@needs_compiled
def test_nms_match_groups_as_the_compiled_operator_does():
    for seed in range(20):
        boxes, scores = draw(120, seed, size=100)
        dets = torch.cat([boxes, scores[:, None]], dim=1)
        assert ops.nms_match(dets, 0.3) == compiled.nms_match(dets, 0.3)


@pytest.mark.parametrize(('operator', 'arguments'), [
    ('nms', (torch.zeros(2, 4), torch.zeros(2), 0.5, 0)),
    ('softnms', (torch.zeros(2, 4), torch.zeros(2), torch.zeros(2, 5), 0.5, 0.5, 0.1, 1, 0)),
    ('nms_match', (torch.zeros(2, 5), 0.5)),
])
def test_tensors_of_another_dtype_are_refused(operator, arguments):
    doubles = [each.double() if isinstance(each, torch.Tensor) else each for each in arguments]
    with pytest.raises(RuntimeError, match=f'{operator}: found torch.float64, expected torch.fl'):
        getattr(ops, operator)(*doubles)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    """As mixed precision has it: scores alone, or everything."""
    boxes, scores = draw(60, 1)
    scores = scores.to(dtype)
    for some in (boxes, boxes.to(dtype)):
        assert ops.nms(some, scores, 0.5, 0).tolist() == ops.nms(
            some.float(), scores.float(), 0.5, 0).tolist()
        dets = torch.cat([some.to(dtype), scores[:, None]], dim=1)
        assert ops.nms_match(dets, 0.3) == ops.nms_match(dets.float(), 0.3)
        expected, found = dets.new_zeros(60, 5).float(), dets.new_zeros(60, 5)
        kept = ops.softnms(some.float(), scores.float(), expected, 0.3, 0.5, 0.1, 2, 0)
        assert torch.equal(ops.softnms(some, scores, found, 0.3, 0.5, 0.1, 2, 0), kept)
        assert torch.equal(found, expected.to(dtype))
        assert found.any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_boxes_on_a_gpu():
    for seed in range(8):
        boxes, scores = draw(200, seed)
        found = ops.nms(boxes.cuda(), scores.cuda(), 0.5, 0)
        assert found.device.type == 'cuda'
        assert found.tolist() == ops.nms(boxes, scores, 0.5, 0).tolist()

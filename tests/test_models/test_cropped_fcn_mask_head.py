"""The mask head: thresholds, soft masks, and who can use its predictions."""
import numpy as np
import pytest
import torch
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.models.task_modules import AssignResult, SamplingResult
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from mmsart.models import CroppedFCNMaskHead
from mmsart.models.roi_heads.cropped_fcn_mask_head import expected_iou
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.paste import paste_masks
from mmsart.utils import UserError

from .tiny_mask_rcnn import batch, build

META = dict(ori_shape=(40, 50), scale_factor=(1.0, 1.0))


def detections(count: int, seed: int = 0) -> tuple[torch.Tensor, InstanceData]:
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=generator) * 25
    bboxes = torch.cat([low, low + 2 + torch.rand(count, 2, generator=generator) * 20], dim=1)
    logits = torch.randn(count, 3, 28, 28, generator=generator)
    return logits, InstanceData(
        bboxes=bboxes, labels=torch.arange(count) % 3, scores=torch.rand(count))


def predict(logits: torch.Tensor, results: InstanceData, **test_cfg: object) -> InstanceData:
    head = CroppedFCNMaskHead(num_classes=3, in_channels=2, conv_out_channels=2)
    return head.predict_by_feat(
        [logits], [results], [META], ConfigDict(test_cfg), rescale=True)[0]


def test_threshold_per_class() -> None:
    thrs = [0.3, 0.5, 0.7]
    logits, results = detections(9)
    together = predict(logits, results, mask_thr_binary=thrs).masks
    for label, thr in enumerate(thrs):
        alone = predict(*detections(9), mask_thr_binary=thr).masks
        np.testing.assert_array_equal(
            together[results.labels == label].to_ndarray(),
            alone[results.labels == label].to_ndarray())


@pytest.mark.parametrize('thr', [0, -1, 1.5, [0.5, 0.5], [0.5, 0.5, 0]])
def test_bad_threshold_names_the_key(thr: object) -> None:
    with pytest.raises(UserError, match=r'test_cfg\.rcnn\.mask_thr_binary is .*expected'):
        predict(*detections(2), mask_thr_binary=thr)


def test_soft_masks_are_kept_when_asked_for() -> None:
    logits, results = detections(6)
    found = predict(logits, results, mask_thr_binary=0.5, keep_mask_logits=True)
    own = logits[torch.arange(6), results.labels].sigmoid()
    assert found.mask_probs.dtype == torch.float16
    torch.testing.assert_close(found.mask_probs.float(), own, rtol=0, atol=5e-4)
    assert 'mask_probs' not in predict(*detections(6), mask_thr_binary=0.5)
    # Another threshold from the kept masks is what the head would have predicted with it.
    again = paste_masks(found.mask_probs, found.bboxes, (40, 50), 0.7).to_ndarray()
    direct = predict(*detections(6), mask_thr_binary=0.7).masks.to_ndarray()
    assert (again != direct).mean() < 1e-3  # half floats


def test_expected_iou_is_that_of_truths_drawn_from_the_probabilities() -> None:
    rng = np.random.default_rng(0)
    probs = rng.beta(0.3, 0.3, (4, 12, 12))
    thrs = np.array([0.3, 0.5, 0.5, 0.8])
    truths = rng.random((2000, *probs.shape)) < probs
    masks = probs >= thrs[:, None, None]
    drawn = (truths & masks).sum((2, 3)) / (truths | masks).sum((2, 3))
    found = expected_iou(torch.from_numpy(probs), torch.from_numpy(thrs)).numpy()
    # A ratio of means for the mean of ratios: off by about a standard deviation squared.
    np.testing.assert_allclose(found, drawn.mean(0), atol=5e-3)
    assert np.ptp(found) > 0.02


def test_expected_iou_of_a_certain_and_of_an_empty_mask() -> None:
    probs = torch.zeros(3, 4, 4)
    probs[0, 1:3, 1:3] = 1
    probs[1] = 0.4
    assert expected_iou(probs, torch.full((3,), 0.5)).tolist() == [1, 0, 0]


def test_scores_by_mask_iou_when_asked_for() -> None:
    logits, results = detections(6)
    before = results.scores.clone()
    found = predict(logits, results, mask_thr_binary=[0.4, 0.5, 0.6], score_by_mask_iou=True)
    own = logits[torch.arange(6), results.labels].sigmoid()
    shares = expected_iou(own, torch.tensor([0.4, 0.5, 0.6])[results.labels])
    torch.testing.assert_close(found.scores, before * shares)
    assert 0.2 < float(shares.max()) < 0.9


def test_no_detection() -> None:
    logits, results = detections(0)
    found = predict(logits, results, mask_thr_binary=0.5, keep_mask_logits=True,
                    score_by_mask_iou=True)
    assert isinstance(found.masks, CroppedMasks)
    assert (len(found.masks), found.masks.height, found.masks.width) == (0, 40, 50)
    assert found.mask_probs.shape == (0, 28, 28)


def test_batch_without_detections_gives_our_masks_too() -> None:
    detector = build(True).eval()
    detector.roi_head.test_cfg.update(
        score_thr=2.0, mask_thr_binary=[0.4, 0.5, 0.6], keep_mask_logits=True)
    data = detector.data_preprocessor(batch(True, np.random.default_rng(0)), training=False)
    with torch.no_grad():
        results = detector.predict(data['inputs'], data['data_samples'])
    for result in results:
        assert isinstance(result.pred_instances.masks, CroppedMasks)
        assert result.pred_instances.mask_probs.shape == (0, 28, 28)


@pytest.mark.parametrize('positives', [0, 12])
@pytest.mark.parametrize('soft', [False, True])
def test_targets_equal_stock_and_leave_the_proposals_alone(positives: int, soft: bool) -> None:
    rng = np.random.default_rng(7)
    bitmaps = (rng.random((4, 30, 35)) < 0.5).astype(np.uint8)
    low = rng.uniform(-4, 25, (positives, 2))
    priors = torch.from_numpy(np.concatenate(
        [low, low + rng.uniform(1, 15, (positives, 2))], axis=1).astype(np.float32))
    sampled = _sampled(priors, torch.from_numpy(rng.integers(0, 4, positives)))
    config = ConfigDict(mask_size=28, soft_mask_target=soft)
    head = CroppedFCNMaskHead(num_classes=3, in_channels=2, conv_out_channels=2)
    before = sampled.pos_priors.clone()
    ours = head.get_targets(
        [sampled], [InstanceData(masks=CroppedMasks.from_bitmaps(bitmaps))], config)
    assert torch.equal(sampled.pos_priors, before)
    gt_bitmaps = [InstanceData(masks=BitmapMasks(bitmaps, 30, 35))]
    stock = FCNMaskHead.get_targets(head, [sampled], gt_bitmaps, config)
    assert torch.equal(ours, stock)
    assert torch.equal(head.get_targets([sampled], gt_bitmaps, config), stock)


def _sampled(priors: torch.Tensor, gt_inds: torch.Tensor) -> SamplingResult:
    result = AssignResult(4, gt_inds + 1, torch.ones(len(priors)), gt_inds * 0)
    return SamplingResult(
        torch.arange(len(priors)), torch.zeros(0, dtype=torch.long), priors, torch.zeros(4, 4),
        result, torch.zeros(len(priors), dtype=torch.uint8))


def test_instance_data_with_our_masks_can_be_indexed_and_moved() -> None:
    found = predict(*detections(6), mask_thr_binary=0.5)
    dense = found.masks.to_ndarray()
    for index in (found.scores > 0.5, torch.tensor([4, 0]), slice(1, 3), 2):
        picked = found.cpu().detach().to('cpu').numpy().to_tensor()[index]
        rows = dense[index.numpy() if isinstance(index, torch.Tensor) else index]
        np.testing.assert_array_equal(picked.masks.to_ndarray(), rows.reshape(-1, 40, 50))
    joined = InstanceData.cat([found[:2], found[2:]])
    np.testing.assert_array_equal(joined.masks.to_ndarray(), dense)

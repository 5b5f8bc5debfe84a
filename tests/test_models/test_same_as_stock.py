"""A whole Mask R-CNN with our parts against the same network with stock's."""
import numpy as np
import pytest
import torch
from mmdet.models.detectors import MaskRCNN
from mmengine.optim import OptimWrapper

from mmsart.models.roi_heads import cropped_mask_roi_head
from mmsart.structures.mask.cropped_masks import CroppedMasks

from .tiny_mask_rcnn import HEIGHT, WIDTH, batch, build


def train(detector: MaskRCNN, ours: bool, iterations: int) -> list[dict[str, float]]:
    optimizer = OptimWrapper(torch.optim.SGD(detector.parameters(), lr=0.01, momentum=0.9))
    rng = np.random.default_rng(0)
    torch.manual_seed(1)  # of the samplers
    detector.train()
    return [{key: float(value) for key, value in
             detector.train_step(batch(ours, rng), optimizer).items()} for _ in range(iterations)]


@pytest.mark.parametrize('mask_head', [
    {}, {'class_agnostic': True},
    {'conv_out_channels': 4, 'loss_mask': dict(
        type='CrossEntropyLoss', use_mask=True, loss_weight=2.0)},
])
def test_same_losses_for_five_iterations(mask_head: dict) -> None:
    stock = train(build(False, **mask_head), False, 5)
    ours = train(build(True, **mask_head), True, 5)
    assert stock[0]['loss_mask'] > 0
    for expected, found in zip(stock, ours, strict=True):
        assert found == pytest.approx(expected, abs=1e-5)


def test_loss_weight_of_the_masks_comes_from_the_config() -> None:
    loss = dict(type='CrossEntropyLoss', use_mask=True, loss_weight=3.0)
    plain = train(build(True), True, 1)[0]
    heavy = train(build(True, loss_mask=loss), True, 1)[0]
    assert heavy['loss_mask'] == pytest.approx(3 * plain['loss_mask'], rel=1e-5)


@pytest.mark.parametrize('rescale', [True, False])
def test_same_predictions(rescale: bool) -> None:
    results = []
    for ours in (False, True):
        detector = build(ours, seed=3).eval()
        data = batch(ours, np.random.default_rng(2))
        for sample in data['data_samples']:  # the network saw a resized image
            sample.set_metainfo(dict(ori_shape=(HEIGHT // 2, 50), scale_factor=(WIDTH / 50, 2.0)))
        data = detector.data_preprocessor(data, training=False)
        with torch.no_grad():
            results.append(detector.predict(
                data['inputs'], data['data_samples'], rescale=rescale))
    for stock, ours in zip(*results, strict=True):
        stock, ours = stock.pred_instances, ours.pred_instances
        assert len(ours) > 10
        assert isinstance(ours.masks, CroppedMasks)
        assert torch.equal(ours.bboxes, stock.bboxes)
        assert torch.equal(ours.scores, stock.scores)
        np.testing.assert_array_equal(ours.masks.to_ndarray(), stock.masks.numpy())


def test_detections_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = build(True, seed=3).eval()
    detector.roi_head.test_cfg.update(keep_mask_logits=True)
    data = detector.data_preprocessor(batch(True, np.random.default_rng(2)), training=False)
    found = []
    for size in (256, 7):
        monkeypatch.setattr(cropped_mask_roi_head, 'CHUNK_ROIS', size)
        with torch.no_grad():
            results = detector.predict(data['inputs'], data['data_samples'])
        found.append([result.pred_instances.mask_probs for result in results])
    for whole, chunked in zip(*found, strict=True):
        assert len(whole) > 10
        torch.testing.assert_close(chunked, whole, rtol=0, atol=1e-3)

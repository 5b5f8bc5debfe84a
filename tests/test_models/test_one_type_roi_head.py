"""Cells as one class, and the type of the image."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS

from mmsart.apis.checks import check_model
from mmsart.apis.config import load_config
from mmsart.utils import UserError
from tests.test_models.test_cascade_mask_roi_head import cascade_config
from tests.test_models.tiny_mask_rcnn import batch


def one_type_config(classes=1, agnostic=True, directions=()):
    model = cascade_config(directions=directions)
    model.roi_head.update(type='OneTypeRoIHead')
    for head in model.roi_head.bbox_head:
        head.num_classes = classes
    model.roi_head.mask_head.class_agnostic = agnostic
    return model


def build(**options):
    torch.manual_seed(0)
    detector = MODELS.build(one_type_config(**options))
    detector.init_weights()
    return detector


def images(label):
    """Two images, all cells of one type each."""
    data = batch(True, np.random.default_rng(0))
    for sample, each in zip(data['data_samples'], label, strict=True):
        sample.gt_instances.labels[:] = each
    return data


def losses(detector, data):
    torch.manual_seed(1)
    inputs = torch.stack(data['inputs']).float() / 255
    return detector.loss(inputs, data['data_samples']), inputs


def test_boxes_and_masks_do_not_know_types_and_the_image_does():
    detector = build()
    found, inputs = losses(detector, images((0, 2)))
    other, _ = losses(detector, images((1, 1)))
    for name, value in found.items():
        values, others = (torch.stack(each) if isinstance(each, list) else each
                          for each in (value, other[name]))
        assert torch.equal(values, others) == (name != 'loss_type'), name
    logits = detector.roi_head.type_head(detector.extract_feat(inputs)[-1].mean((2, 3)))
    torch.testing.assert_close(
        found['loss_type'], 0.5 * F.cross_entropy(logits, torch.tensor([0, 2])))


def test_labels_are_not_changed_and_images_without_cells_teach_no_type():
    detector, data = build(), images((0, 2))
    first = data['data_samples'][0]
    losses(detector, data)
    assert (data['data_samples'][1].gt_instances.labels == 2).all()
    first.gt_instances = first.gt_instances[:0]
    found, inputs = losses(detector, data)
    logits = detector.roi_head.type_head(detector.extract_feat(inputs)[-1].mean((2, 3)))
    torch.testing.assert_close(
        found['loss_type'], 0.5 * F.cross_entropy(logits[1:], torch.tensor([2])))
    data['data_samples'][1].gt_instances = data['data_samples'][1].gt_instances[:0]
    assert losses(detector, data)[0]['loss_type'] == 0


@torch.no_grad()
@pytest.mark.parametrize('directions', [(), ('horizontal',)])
def test_all_cells_of_an_image_get_its_type(directions):
    detector = build(directions=directions).eval()
    detector.roi_head.type_head.weight.normal_(std=5)
    data = images((0, 2))
    inputs = torch.stack([torch.randn(3, 64, 96), torch.randn(3, 64, 96) * 5 + 3])
    probs = torch.stack([
        detector.roi_head.type_head(detector.extract_feat(view)[-1].mean((2, 3))).softmax(-1)
        for view in [inputs, *([inputs.flip(-1)] if directions else [])]]).mean(0)
    for sample, label in zip(detector.predict(inputs, data['data_samples']), probs.argmax(-1),
                             strict=True):
        assert len(sample.pred_instances) > 3
        assert (sample.pred_instances.labels == label).all()
    detector.roi_head.test_cfg.score_thr = 1.0
    assert not len(detector.predict(inputs, data['data_samples'])[0].pred_instances)


def test_heads_that_tell_types_apart_are_refused():
    with pytest.raises(UserError, match='found a stage with several classes, expected num_classes'):
        build(classes=3)
    with pytest.raises(UserError, match='class_agnostic: found False, expected True'):
        build(agnostic=False)


def test_it_is_one_line_of_options():
    cfg = load_config('configs/sartorius/cascade_lite2.py', [
        'model.roi_head.type=OneTypeRoIHead', 'model.roi_head.bbox_head.0.num_classes=1',
        'model.roi_head.bbox_head.1.num_classes=1', 'model.roi_head.mask_head.class_agnostic=True'])
    head = check_model(cfg, ['train_dataloader']).roi_head
    assert head.type_head.out_features == 3
    assert head.mask_head.conv_logits.out_channels == head.bbox_heads[0].num_classes == 1

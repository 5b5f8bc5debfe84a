"""What cells count in the losses, against losses of single RoIs added up by hand."""
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox2roi

from mmsart.utils import UserError
from tests.test_models.test_cascade_mask_roi_head import build as build_cascade
from tests.test_models.tiny_mask_rcnn import batch, build


def losses(detector, data, weights=None, seed=3):
    """Compute all losses, with the weights of the first image's cells."""
    samples = data['data_samples']
    for sample in samples:
        sample.gt_instances.pop('weights', None)
    if weights is not None:
        samples[0].gt_instances.weights = torch.as_tensor(weights)
    torch.manual_seed(seed)  # of the samplers
    inputs = torch.stack(data['inputs']).float() / 255
    found = detector.loss(inputs, samples)
    return {name: sum(value) if isinstance(value, list) else value.sum()
            for name, value in found.items()}


def detectors():
    return {'plain': build(ours=True), 'cascade': build_cascade()}


@pytest.mark.parametrize('kind', ['plain', 'cascade'])
def test_weights_of_one_change_nothing_and_half_of_all_halves_what_cells_cost(kind):
    detector, data = detectors()[kind], batch(True, np.random.default_rng(0))
    without = losses(detector, data)
    for name, value in losses(detector, data, np.ones(15, np.float32)).items():
        torch.testing.assert_close(value, without[name])
    data['data_samples'] = data['data_samples'][:1]
    data['inputs'] = data['inputs'][:1]
    full, half = losses(detector, data), losses(detector, data, np.full(15, 0.5, np.float32))
    for name, value in half.items():
        if (name.endswith('loss_bbox') and 'rpn' not in name) or name == 'loss_mask':
            torch.testing.assert_close(value, full[name] / 2)
        elif name.endswith('loss_cls') and 'rpn' not in name:
            assert full[name] / 2 < value < full[name]  # background counts as before
        else:
            torch.testing.assert_close(value, full[name])


def test_each_roi_counts_by_the_weight_of_its_cell():
    """Two images, one of them with weights; of all positive RoIs, one after the other."""
    detector, data = build(ours=True), batch(True, np.random.default_rng(0))
    weights = np.linspace(0, 1, 15, dtype=np.float32)
    seen = {}
    head = detector.roi_head
    bbox_loss, mask_loss = head.bbox_loss, head.mask_head.loss_and_target

    def note_boxes(x, sampled):
        seen.update(sampled=sampled, x=x)
        return bbox_loss(x, sampled)

    def note_masks(**arguments):
        seen['preds'] = arguments['mask_preds']
        seen['masks'] = mask_loss(**arguments)
        return seen['masks']

    head.bbox_loss, head.mask_head.loss_and_target = note_boxes, note_masks
    found = losses(detector, data, weights)
    sampled = seen['sampled']
    rois = bbox2roi([each.priors for each in sampled])
    results = head._bbox_forward(seen['x'], rois)
    classes = boxes = masks = 0.0
    row = positive = 0
    for number, each in enumerate(sampled):
        gts = each.pos_assigned_gt_inds.tolist()
        for index in range(len(each.priors)):
            is_cell = index < len(gts)
            weight = float(weights[gts[index]]) if is_cell and number == 0 else 1.0
            label = int(each.pos_gt_labels[index]) if is_cell else 3
            classes += weight * F.cross_entropy(results['cls_score'][row], torch.tensor(label))
            if is_cell:
                target = head.bbox_head.bbox_coder.encode(
                    each.pos_priors[index:index + 1], each.pos_gt_bboxes[index:index + 1])[0]
                deltas = results['bbox_pred'][row].view(-1, 4)[label]
                boxes += weight * (deltas - target).abs().sum()
                masks += weight * F.binary_cross_entropy_with_logits(
                    seen['preds'][positive, label], seen['masks']['mask_targets'][positive])
                positive += 1
            row += 1
    light = sum((weights[each.pos_assigned_gt_inds] == 0).sum() for each in sampled[:1])
    torch.testing.assert_close(found['loss_cls'], classes / (row - light))
    torch.testing.assert_close(found['loss_bbox'], boxes / row)
    torch.testing.assert_close(found['loss_mask'], masks / positive)


@pytest.mark.parametrize('weights', [None, np.linspace(0, 1, 15, dtype=np.float32)])
def test_dice_beside_cross_entropy(weights):
    detector, data = build(ours=True), batch(True, np.random.default_rng(0))
    plain = losses(detector, data, weights)
    detector.roi_head.mask_head.loss_dice = MODELS.build(dict(type='DiceLoss', loss_weight=0.5))
    seen = {}
    mask_loss = detector.roi_head.mask_head.loss_and_target

    def note(**arguments):
        seen.update(preds=arguments['mask_preds'], sampled=arguments['sampling_results'],
                    found=mask_loss(**arguments))
        return seen['found']

    detector.roi_head.mask_head.loss_and_target = note
    both = losses(detector, data, weights)
    torch.testing.assert_close(both['loss_mask'], plain['loss_mask'])
    total = 0.0
    rows = [(number, index, int(gt)) for number, each in enumerate(seen['sampled'])
            for index, gt in enumerate(each.pos_assigned_gt_inds)]
    for row, (number, index, gt) in enumerate(rows):
        label = int(seen['sampled'][number].pos_gt_labels[index])
        probs, target = seen['preds'][row, label].sigmoid(), seen['found']['mask_targets'][row]
        dice = 2 * (probs * target).sum() / (probs.square().sum() + target.square().sum() + 2e-3)
        weight = 1.0 if weights is None or number else float(weights[gt])
        total += weight * (1 - dice)
    torch.testing.assert_close(both['loss_dice'], 0.5 * total / len(rows))


def test_weights_need_a_loss_that_takes_them():
    detector = build(ours=True)
    detector.roi_head.mask_head.loss_mask = torch.nn.BCEWithLogitsLoss()
    detector.roi_head.mask_head.loss_mask.forward = lambda preds, targets, labels: preds.sum()
    with pytest.raises(UserError, match='loss_mask: found a BCEWithLogitsLoss, expected CrossEnt'):
        losses(detector, batch(True, np.random.default_rng(0)), np.ones(15, np.float32))

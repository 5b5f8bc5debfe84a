"""LIVECell's evaluation, on squares of which the score can be told beforehand."""
import numpy as np
import pytest
import torch

from mmsart.evaluation.metrics import CroppedCocoMetric, LIVECellMetric
from mmsart.structures.mask.cropped_masks import CroppedMasks

SIZE = 80
CLASSES = ('a172', 'bv2')


def squares(count, side=10, step=12):
    bitmaps = np.zeros((count, SIZE, SIZE), np.uint8)
    for i, bitmap in enumerate(bitmaps):
        y, x = (i // 6) * step, (i % 6) * step
        bitmap[y:y + side, x:x + side] = 1
    return CroppedMasks.from_bitmaps(bitmaps)


def sample(truth, found, labels, img_id=1):
    """Hold truth of class 0 as COCO's RLE, and what was found with falling scores."""
    boxes = truth.boxes.tolist()
    return dict(
        img_id=img_id, ori_shape=(SIZE, SIZE),
        instances=[dict(bbox=box, bbox_label=0, ignore_flag=0, mask=mask)
                   for box, mask in zip(boxes, truth.to_coco(), strict=True)],
        pred_instances=dict(
            bboxes=torch.from_numpy(found.boxes.astype(np.float32)), masks=found,
            scores=torch.linspace(1, 0.5, len(found)), labels=torch.tensor(labels)))


def evaluate(metric, *samples):
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, list(samples))
    return metric.evaluate(len(samples))


def test_classes_do_not_matter():
    cells = squares(20)
    scores = evaluate(LIVECellMetric(), sample(cells, cells, [1] * 20))
    assert scores['livecell/segm_mAP'] == 1
    assert scores['livecell/segm_AR@2000'] == 1
    stock = evaluate(CroppedCocoMetric(metric='segm', proposal_nums=(100, 500, 2000)),
                     sample(cells, cells, [1] * 20))
    assert stock['coco/segm_mAP'] == 0


def test_recalls_are_told_by_their_number_of_detections():
    cells = squares(20)
    scores = evaluate(LIVECellMetric(proposal_nums=(5, 10, 20)), sample(cells, cells, [0] * 20))
    assert {key: value for key, value in scores.items() if 'AR' in key} == {
        'livecell/segm_AR@5': 0.25, 'livecell/segm_AR@10': 0.5, 'livecell/segm_AR@20': 1.0}


@pytest.mark.parametrize(('side', 'name'), [(17, 's'), (25, 'm'), (33, 'l')])
def test_sizes_are_those_of_masks(side, name):
    cells = squares(2, side, 40)
    scores = evaluate(LIVECellMetric(), sample(cells, cells, [0, 0]))
    known = {size: scores[f'livecell/segm_mAP_{size}'] for size in 'sml'}
    assert known == {size: 1.0 if size == name else -1.0 for size in 'sml'}


def test_an_area_is_that_of_the_mask_not_of_its_box():
    bitmaps = np.zeros((1, SIZE, SIZE), np.uint8)
    bitmaps[0, 10:50, 10:50] = np.eye(40)  # a box of 1,600 pixels around 40
    cells = CroppedMasks.from_bitmaps(bitmaps)
    scores = evaluate(LIVECellMetric(), sample(cells, cells, [0]))
    assert scores['livecell/segm_mAP_s'] == 1
    assert scores['livecell/segm_mAP_l'] == -1

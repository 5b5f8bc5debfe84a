"""COCO's metric fed with patches against the same metric fed with bitmaps."""
import json

import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric
from pycocotools import mask as coco_mask

from mmsart.evaluation.metrics.cropped_coco_metric import (
    CroppedCocoMetric,
    _with_coco_masks,
)
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.rle import bitmap_to_kaggle

HEIGHT, WIDTH = 30, 41


def discs(rng: np.random.Generator, count: int) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    centres = rng.uniform(0, (HEIGHT, WIDTH), (count, 2))
    return np.stack([np.hypot(y - cy, x - cx) < 6 for cy, cx in centres]).astype(np.uint8)


def samples(ours: bool) -> list[dict]:
    """Two images; predictions are the truth moved by a pixel, and one disc too many."""
    rng = np.random.default_rng(0)
    found = []
    for name in ('first', 'second'):
        truth = discs(rng, 8)
        predicted = np.concatenate([np.roll(truth, 1, axis=2), discs(rng, 1)])
        boxes = CroppedMasks.from_bitmaps(truth).boxes.tolist()
        encoded = [bitmap_to_kaggle(mask) for mask in truth] if ours else [
            coco_mask.encode(np.asfortranarray(mask)) for mask in truth]
        found.append(dict(
            img_id=name, ori_shape=(HEIGHT, WIDTH),
            instances=[dict(bbox=box, bbox_label=i % 2, ignore_flag=0, mask=mask)
                       for i, (box, mask) in enumerate(zip(boxes, encoded, strict=True))],
            pred_instances=dict(
                bboxes=torch.from_numpy(CroppedMasks.from_bitmaps(predicted).boxes).float(),
                scores=torch.linspace(0.9, 0.1, 9), labels=torch.arange(9) % 2,
                masks=CroppedMasks.from_bitmaps(predicted) if ours else torch.from_numpy(
                    predicted).bool())))
    return found


@pytest.mark.parametrize('empty', [False, True])
def test_same_score_as_with_bitmaps(empty: bool) -> None:
    scores = []
    for ours, metric in ((False, CocoMetric), (True, CroppedCocoMetric)):
        evaluator = metric(metric=['bbox', 'segm'])
        evaluator.dataset_meta = dict(classes=('a', 'b'))
        data = samples(ours)
        if empty:
            predicted = data[0]['pred_instances']
            data[0]['pred_instances'] = {key: value[:0] for key, value in predicted.items()}
        evaluator.process(None, data)
        scores.append(evaluator.evaluate(2))
    assert 0.1 < scores[0]['coco/segm_mAP'] < 0.95
    assert scores[1] == scores[0]


@pytest.mark.parametrize(('cells', 'nums'), [
    (80, None), (400, None), (400, (100, 500, 2000)), (400, (1, 10, 2000))])
def test_the_truth_scores_one_on_dense_images_too(cells, nums, capsys) -> None:
    """pycocotools' mAP counts 100 detections, whatever it is told."""
    corners = 4 * np.stack(np.divmod(np.arange(cells), 40), axis=1)
    bitmaps = np.zeros((cells, 160, 160), np.uint8)
    for bitmap, (y, x) in zip(bitmaps, corners, strict=True):
        bitmap[y:y + 3, x:x + 3] = 1
    masks = CroppedMasks.from_bitmaps(bitmaps)
    sample = dict(
        img_id='dense', ori_shape=(160, 160),
        instances=[dict(bbox=box, bbox_label=0, ignore_flag=0, mask=bitmap_to_kaggle(bitmap))
                   for box, bitmap in zip(masks.boxes.astype(float).tolist(), bitmaps,
                                          strict=True)],
        pred_instances=dict(
            bboxes=torch.from_numpy(masks.boxes).float(), masks=masks,
            scores=torch.linspace(0.9, 0.5, cells), labels=torch.zeros(cells, dtype=torch.long)))
    evaluator = CroppedCocoMetric(
        metric=['bbox', 'segm'], **({} if nums is None else dict(proposal_nums=nums)))
    evaluator.dataset_meta = dict(classes=('cell',))
    capsys.readouterr()
    evaluator.process(None, [sample])
    scores = evaluator.evaluate(1)
    for name in ('bbox_mAP', 'bbox_mAP_50', 'segm_mAP', 'segm_mAP_50', 'segm_mAP_75'):
        assert scores[f'coco/{name}'] == 1
    assert 'maxDets' not in capsys.readouterr().out


def test_a_sample_without_truth_is_left_to_stock() -> None:
    """mmdet asks for it then; an empty list in its place would score -1 without a word."""
    sample = dict(ori_shape=(4, 4), pred_instances={})
    assert 'instances' not in _with_coco_masks(sample)
    assert _with_coco_masks(dict(sample, instances=[]))['instances'] == []


def perfect_and_named(data, ids):
    """Give samples other ids, and the truth itself as their prediction."""
    for sample, name in zip(data, ids, strict=True):
        truth = sample['instances']
        masks = CroppedMasks.from_annotations([each['mask'] for each in truth], HEIGHT, WIDTH)
        sample.update(img_id=name, pred_instances=dict(
            bboxes=torch.tensor([each['bbox'] for each in truth]).float(), masks=masks,
            scores=torch.linspace(0.9, 0.5, len(truth)),
            labels=torch.tensor([each['bbox_label'] for each in truth])))
    return data


def scores_of(data, **kwargs):
    evaluator = CroppedCocoMetric(metric='segm', **kwargs)
    evaluator.dataset_meta = dict(classes=('a', 'b'))
    evaluator.process(None, data)
    return evaluator.evaluate(len(data))


def test_images_of_the_file_that_were_not_predicted_do_not_count(tmp_path) -> None:
    """The data set's indices name some; those that the file has besides were never asked for."""
    data = perfect_and_named(samples(ours=True), (1, 2))
    writer = CroppedCocoMetric()
    writer.dataset_meta = dict(classes=('a', 'b'))
    gts = [dict(img_id=sample['img_id'], height=HEIGHT, width=WIDTH,
                anns=_with_coco_masks(sample)['instances']) for sample in data]
    path = writer.gt_to_coco_json(gts, str(tmp_path / 'two'))
    assert scores_of(data[:1], ann_file=path)['coco/segm_mAP'] == 1
    assert scores_of(data, ann_file=path)['coco/segm_mAP'] == 1


def test_sizes_are_those_of_masks_with_and_without_a_file(tmp_path) -> None:
    """A thin diagonal cell is small, and its box is not."""
    masks = CroppedMasks.from_bitmaps(np.eye(40, dtype=np.uint8)[None])
    code, = masks.to_coco()
    sample = dict(
        img_id=1, ori_shape=(40, 40),
        instances=[dict(bbox=[0, 0, 40, 40], bbox_label=0, ignore_flag=0, mask=code)],
        pred_instances=dict(bboxes=torch.tensor([[0, 0, 40, 40.]]), scores=torch.tensor([0.9]),
                            labels=torch.tensor([0]), masks=masks))
    (tmp_path / 'truth.json').write_text(json.dumps(dict(
        images=[dict(id=1, height=40, width=40)], categories=[dict(id=1, name='a')],
        annotations=[dict(id=1, image_id=1, category_id=1, iscrowd=0, area=40,
                          bbox=[0, 0, 40, 40],
                          segmentation=dict(code, counts=code['counts'].decode()))])))
    for options in ({}, dict(ann_file=str(tmp_path / 'truth.json'))):
        scores = scores_of([dict(sample)], **options)
        assert {size: scores[f'coco/segm_mAP_{size}'] for size in 'sml'} == {
            's': 1.0, 'm': -1.0, 'l': -1.0}
    boxes_alone = {key: value for key, value in sample['instances'][0].items() if key != 'mask'}
    evaluator = CroppedCocoMetric(metric='bbox')
    evaluator.dataset_meta = dict(classes=('a',))
    evaluator.process(None, [dict(sample, instances=[boxes_alone])])
    assert evaluator.evaluate(1)['coco/bbox_mAP_l'] == -1  # 1,600 pixels are medium


def test_joined_data_sets_may_number_their_images_alike() -> None:
    data = perfect_and_named(samples(ours=True), (1, 1))
    assert scores_of(data)['coco/segm_mAP'] == 1
    data[1]['pred_instances']['scores'] *= 0
    wrong = {key: value[:0] for key, value in data[1]['pred_instances'].items()}
    assert 0.4 < scores_of([data[0], dict(data[1], pred_instances=wrong)])['coco/segm_mAP'] < 0.6

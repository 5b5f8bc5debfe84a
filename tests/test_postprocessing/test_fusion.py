"""Fusing what several models find, against the same done cell by cell on whole bitmaps."""
import numpy as np
import pytest
import torch

from mmsart.postprocessing.fusion import fuse_detections
from mmsart.structures.detections import Detections
from mmsart.structures.mask.paste import paste_masks
from mmsart.structures.mask.patch_masks import PatchMasks

SIZE = (60, 80)


def detections(boxes, scores, labels=0, probs=None, side=14):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    if probs is None:
        probs = np.ones((len(boxes), side, side), np.float32)
    masks = paste_masks(torch.from_numpy(probs), torch.from_numpy(boxes), SIZE, 0.5)
    return Detections(scores, np.broadcast_to(labels, len(boxes)), masks, boxes, 'a', probs)


def bilinear(grid, y, x):
    """Interpolate between the cells of a grid, with zeros around."""
    total = 0.0
    for row in (int(np.floor(y)), int(np.floor(y)) + 1):
        for column in (int(np.floor(x)), int(np.floor(x)) + 1):
            if 0 <= row < len(grid) and 0 <= column < len(grid):
                total += (1 - abs(y - row)) * (1 - abs(x - column)) * grid[row, column]
    return total


def plain_fusion(members, weights, iou_thr):
    """Return label, score, box and probabilities of each cluster, one after the other."""
    cells = [(member.scores[i] * weight, owner, member.labels[i], member.bboxes[i],
              member.mask_probs[i], member.masks[i].to_ndarray()[0] > 0)
             for owner, (member, weight) in enumerate(zip(members, weights, strict=True))
             for i in range(len(member))]
    cells.sort(key=lambda cell: -cell[0])
    clusters = []
    for cell in cells:
        best, best_iou = None, iou_thr
        for cluster in clusters:
            first = cluster[0]
            union = (first[5] | cell[5]).sum()
            iou = (first[5] & cell[5]).sum() / union if union else 0
            if first[2] == cell[2] and iou > best_iou and cell[1] not in [c[1] for c in cluster]:
                best, best_iou = cluster, iou
        if best is None:
            clusters.append([cell])
        else:
            best.append(cell)
    side = max(member.mask_probs.shape[-1] for member in members)
    fused = []
    for cluster in clusters:
        boxes = np.array([cell[3] for cell in cluster], float)
        x1, y1, x2, y2 = box = [*boxes[:, :2].min(0), *boxes[:, 2:].max(0)]
        probs = np.zeros((side, side))
        for weight, _, _, (left, top, right, bottom), grid, _ in cluster:
            for row in range(side):
                for column in range(side):
                    y = y1 + (row + 0.5) / side * (y2 - y1)
                    x = x1 + (column + 0.5) / side * (x2 - x1)
                    probs[row, column] += weight * bilinear(
                        grid, (y - top) / (bottom - top) * len(grid) - 0.5,
                        (x - left) / (right - left) * len(grid) - 0.5)
        total = sum(cell[0] for cell in cluster)
        fused.append((cluster[0][2], total / sum(weights), box, probs / total))
    return sorted(fused, key=lambda each: -each[1])


@pytest.mark.parametrize('seed', range(6))
def test_equal_to_the_plain_way(seed):
    rng = np.random.default_rng(seed)
    centres = rng.uniform((8, 8), (72, 52), (8, 2))
    members = []
    for side in (6, 6, 9):  # each sees some of the cells, a little displaced, and doubles
        seen = rng.integers(0, 8, rng.integers(3, 11))
        middle = centres[seen] + rng.normal(0, 1.5, (len(seen), 2))
        half = rng.uniform(4, 9, (len(seen), 2))
        members.append(detections(
            np.hstack([middle - half, middle + half]), rng.random(len(seen)),
            rng.integers(0, 2, len(seen)), rng.random((len(seen), side, side), np.float32) ** 0.5))
    weights = [1.0, 0.5, 2.0]
    found = fuse_detections(members, weights, 0.3)
    expected = plain_fusion(members, weights, 0.3)
    assert len(found) < sum(map(len, members)), 'nothing was fused'
    np.testing.assert_array_equal(found.labels, [each[0] for each in expected])
    np.testing.assert_allclose(found.scores, [each[1] for each in expected], rtol=1e-5)
    np.testing.assert_allclose(found.bboxes, [each[2] for each in expected], rtol=1e-5)
    np.testing.assert_allclose(found.mask_probs, [each[3] for each in expected], atol=1e-4)
    pasted = paste_masks(torch.from_numpy(found.mask_probs), torch.from_numpy(found.bboxes), SIZE,
                         0.5)
    assert found.masks.to_rles() == pasted.to_rles()


def test_a_score_is_the_mean_over_all_models():
    box, other = (10, 10, 30, 30), (40, 10, 60, 30)
    found = fuse_detections([detections([box, other], [0.8, 0.6]), detections([box], [0.4])])
    np.testing.assert_allclose(found.scores, [0.6, 0.3])
    np.testing.assert_array_equal(found.bboxes, [box, other])
    weighted = fuse_detections(
        [detections([box, other], [0.8, 0.6]), detections([box], [0.4])], [3, 1])
    np.testing.assert_allclose(weighted.scores, [0.7, 0.45])


def test_masks_are_means_of_the_models_that_found_the_cell():
    box = (10, 10, 30, 30)
    low, high = np.full((1, 4, 4), 0.2, np.float32), np.full((1, 4, 4), 0.8, np.float32)
    found = fuse_detections([
        detections([box], [0.9], probs=high), detections([box], [0.3], probs=high),
        detections([(50, 40, 60, 50)], [0.1], probs=low)])
    np.testing.assert_allclose(found.mask_probs[0], 0.8, rtol=1e-6)
    np.testing.assert_allclose(found.mask_probs[1], 0.2, rtol=1e-6)
    soft = detections([box], [0.3], probs=low)
    soft.masks = detections([box], [0.3]).masks  # whatever its threshold, they overlap
    mixed = fuse_detections([detections([box], [0.9], probs=high), soft])
    np.testing.assert_allclose(mixed.mask_probs[0], (0.9 * 0.8 + 0.3 * 0.2) / 1.2, rtol=1e-6)


def test_of_another_class_and_of_the_same_model_nothing_joins():
    box = (10, 10, 30, 30)
    found = fuse_detections([
        detections([box, box], [0.8, 0.6]), detections([box], [0.7], labels=1)])
    np.testing.assert_allclose(found.scores, [0.4, 0.35, 0.3])
    assert found.labels.tolist() == [0, 1, 0]


def test_models_that_find_nothing_count():
    nothing = Detections(
        [], [], PatchMasks.empty(*SIZE), np.zeros((0, 4)), 'a', np.zeros((0, 14, 14), np.float16))
    found = fuse_detections([nothing, detections([(10, 10, 30, 30)], [0.8])])
    np.testing.assert_allclose(found.scores, [0.4])
    assert not len(fuse_detections([nothing, nothing]))


def bare(squares, scores):
    """Masks without probabilities: squares of (x, y, side)."""
    bitmaps = np.zeros((len(squares), *SIZE), np.uint8)
    for bitmap, (x, y, side) in zip(bitmaps, squares, strict=True):
        bitmap[y:y + side, x:x + side] = 1
    masks = PatchMasks.from_bitmaps(bitmaps)
    return Detections(scores, np.zeros(len(squares)), masks, masks.boxes, 'a')


def test_pixels_of_bare_masks_stay_that_half_of_the_weight_has():
    members = [bare([(10, 10, 10)], [0.5]), bare([(11, 10, 10)], [0.4]),
               bare([(12, 10, 10), (40, 30, 5)], [0.3, 0.2])]
    found = fuse_detections(members)
    expected = np.zeros((2, *SIZE), int)
    expected[0, 10:20, 11:21] = 1  # columns have the weights .5 .9 1.2 ... 1.2 .7 .3 of 1.2
    expected[1, 30:35, 40:45] = 1
    np.testing.assert_array_equal(found.masks.to_ndarray(), expected)
    np.testing.assert_allclose(found.scores, [0.4, 0.2 / 3], rtol=1e-6)
    assert found.mask_probs is None
    heavy = fuse_detections(members, [1, 1, 4])  # of 2.1: .5 .9 2.1 ... 2.1 1.6 1.2
    assert heavy.masks[0].to_ndarray()[0].any(0).nonzero()[0].tolist() == list(range(12, 22))


def test_soft_and_bare_masks_vote_together():
    mixed = fuse_detections([detections([(10, 10, 20, 20)], [0.5]), bare([(10, 10, 10)], [0.5])])
    assert len(mixed) == 1
    assert mixed.mask_probs is None
    assert mixed.masks.areas.tolist() == [100]


def test_probabilities_are_cut_at_their_class_threshold():
    probs = np.full((2, 4, 4), 0.4, np.float32)
    member = detections([(10, 10, 20, 20), (40, 10, 50, 20)], [0.9, 0.8], [0, 1], probs)
    found = fuse_detections([member], mask_thr=[0.3, 0.5])
    assert (found.masks.areas > 0).tolist() == [True, False]
    assert not fuse_detections([member]).masks.areas.any()

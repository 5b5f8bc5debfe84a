"""The competition's score: cases worked out by hand, and a brute-force twin."""
import tracemalloc
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from scipy.optimize import linear_sum_assignment

from mmsart.datasets.classes import CLASSES
from mmsart.evaluation.functional import (
    IOU_THRS,
    ImageScore,
    count_matches,
    mask_ious,
    match_pairs,
    score_image,
    summarize,
)
from mmsart.evaluation.functional.error_kinds import find_error_kinds
from mmsart.structures.mask.intersections import run_intersections
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.rle import parse_rles


def encode(masks):
    if not len(masks):
        return PatchMasks.empty(1, 100).to_runs()
    return PatchMasks.from_bitmaps(np.asarray(masks)).to_runs()


def bar(begin, end, length=100):
    mask = np.zeros((1, length), np.uint8)
    mask[0, begin:end] = 1
    return mask


def brute_force_precision(preds, gts):
    """Score with sets of pixels, exact fractions and the Hungarian algorithm."""
    precisions = []
    sets = [[set(np.flatnonzero(mask)) for mask in masks] for masks in (preds, gts)]
    for step in range(10, 20):
        hits = np.zeros((len(preds), len(gts)))
        for (i, pred), (j, gt) in product(enumerate(sets[0]), enumerate(sets[1])):
            union = len(pred | gt)
            hits[i, j] = bool(union) and Fraction(len(pred & gt), union) > Fraction(step, 20)
        rows, columns = linear_sum_assignment(-hits)
        tp = int(hits[rows, columns].sum())
        total = tp + (len(preds) - tp) + (len(gts) - tp)
        precisions.append(tp / total if total else 1.0)
    return np.array(precisions)


def random_masks(rng, number):
    """Draw bars that overlap, repeat and often meet at simple ratios."""
    masks = []
    for _ in range(number):
        begin = rng.integers(0, 5) * 20 + rng.integers(0, 3)
        masks.append(bar(begin, begin + rng.choice([10, 11, 12, 14, 16, 18, 19, 20])))
        if rng.random() < 0.15:
            masks.append(masks[rng.integers(len(masks))])
    return masks


def test_ious_are_those_of_pycocotools():
    rng = np.random.default_rng(0)
    for _ in range(50):
        shape = rng.integers(0, 7), *rng.integers(1, 30, 2)
        found, truth = ((rng.random(shape) < rng.random()).astype(np.uint8) for _ in range(2))
        codes = [[coco_mask.encode(np.asfortranarray(mask)) for mask in masks]
                 for masks in (found, truth)]
        expected = coco_mask.iou(*codes, [0] * len(truth)) if len(truth) else np.zeros((0, 0))
        runs = [PatchMasks.from_bitmaps(masks).to_runs() for masks in (found, truth)]
        np.testing.assert_array_equal(mask_ious(*runs).toarray(), expected)


def test_masks_beyond_32_bits_are_counted_right():
    """pycocotools counts pixels in 32 bits: the first of these would have an area of 1."""
    found, truth = parse_rles([f'1 {2**32 + 1}']), parse_rles([f'2 {2**32}', '1 1'])
    assert mask_ious(found, truth).toarray().tolist() == [[2**32 / (2**32 + 1), 1 / (2**32 + 1)]]
    assert score_image(found, truth).tp.tolist() == [1] * 10


def test_agrees_with_brute_force_on_random_cases():
    rng = np.random.default_rng(0)
    at_threshold = empty = ambiguous = 0
    for _ in range(500):
        preds, gts = random_masks(rng, rng.integers(0, 9)), random_masks(rng, rng.integers(0, 9))
        ious = mask_ious(encode(preds), encode(gts)).toarray()
        at_threshold += np.isin(ious, IOU_THRS).any()
        empty += not preds or not gts
        hits = ious > 0.5
        ambiguous += hits.size > 0 and (hits.sum(0).max() > 1 or hits.sum(1).max() > 1)
        found = score_image(encode(preds), encode(gts)).precision
        np.testing.assert_allclose(found, brute_force_precision(preds, gts), rtol=0, atol=1e-12)
    # The cases are worth something only if they hold what they are meant to hold.
    assert min(at_threshold, empty, ambiguous) > 50


@pytest.mark.parametrize('step', range(10, 20))
def test_an_iou_at_the_threshold_is_no_hit(step):
    # bars of step and 20 pixels, one inside the other: IoU is step / 20 exactly
    score = score_image(encode([bar(0, step)]), encode([bar(0, 20)]))
    assert score.tp.sum() == step - 10


def test_shifted_bars_give_the_precision_worked_out():
    # bars of 20 shifted by 2: IoU 18 / 22 = 0.818, above 0.50 to 0.80: 7 of 10 thresholds
    score = score_image(encode([bar(2, 22)]), encode([bar(0, 20)]))
    assert score.precision.tolist() == [1.0] * 7 + [0.0] * 3
    # one more prediction elsewhere: TP / (TP + FP + FN) = 1 / 2
    score = score_image(encode([bar(2, 22), bar(50, 60)]), encode([bar(0, 20)]))
    assert score.precision.tolist() == [0.5] * 7 + [0.0] * 3


def test_two_predictions_of_one_object_count_it_once():
    score = score_image(encode([bar(0, 20), bar(0, 20)]), encode([bar(0, 20)]))
    assert (score.tp == 1).all()
    assert (score.fp == 1).all()
    assert (score.fn == 0).all()


def test_a_pair_is_not_lost_to_overlapping_truth():
    # The first prediction fits both objects, the second only the first object. Going by the best
    # IoU of each row gives the first object to both.
    ious = np.array([[0.9, 0.8], [0.7, 0.0]])
    assert count_matches(ious, np.array([0.5]))[0] == 2


@pytest.mark.parametrize(('num_pred', 'num_gt', 'precision'), [(0, 3, 0), (3, 0, 0), (0, 0, 1)])
def test_precision_with_an_empty_side(num_pred, num_gt, precision):
    """Where nothing is there, nothing predicted is right, and anything predicted is wrong."""
    preds, gts = [bar(i, i + 9) for i in range(num_pred)], [bar(i, i + 9) for i in range(num_gt)]
    score = score_image(encode(preds), encode(gts))
    assert score.precision.tolist() == [precision] * 10
    assert (score.fp == num_pred).all()
    assert (score.fn == num_gt).all()


def test_memory_follows_the_pairs_that_meet():
    """Not predictions times true objects, of which a large image has too many."""
    found, truth = (parse_rles([f'{10 * index + begin} 6' for index in range(10_000)])
                    for begin in (1, 2))
    tracemalloc.start()
    score = score_image(found, truth)
    rows, columns = match_pairs(mask_ious(found, truth), 0.5)
    find_error_kinds(run_intersections(found, truth), found.areas, truth.areas,
                     np.ones(len(found), bool))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert score.tp.tolist() == [10_000] * 5 + [0] * 5  # 5 / 7 = 0.714
    assert rows.tolist() == columns.tolist() == list(range(10_000))
    assert peak < 10_000 ** 2  # bytes: less than one for each pair


def test_an_empty_mask_matches_nothing():
    score = score_image(encode([bar(0, 0)]), encode([bar(0, 0)]))
    assert (score.tp == 0).all()


def test_images_are_averaged_not_pooled():
    # image 1: 1 of 1 object found; image 2: 0 of 9: (1 + 0) / 2, while pooling gives 1 / 10
    scores = [ImageScore(np.ones(10, int), 1, 1), ImageScore(np.zeros(10, int), 0, 9)]
    result = summarize(scores, ['cort', 'astro'], CLASSES)
    assert result['mAP'] == 0.5
    assert result['mAP_cort'] == 1.0
    assert result['mAP_astro'] == 0.0
    assert (result['TP'], result['FP'], result['FN']) == (1, 0, 9)
    assert result['recall50'] == 0.1
    assert 'mAP_shsy5y' not in result
    assert 'mAP_mix' not in result  # one type is missing


def test_mix_weights_are_the_competitions_images():
    full, none = ImageScore(np.ones(10, int), 1, 1), ImageScore(np.zeros(10, int), 0, 1)
    result = summarize([full, none, none], ['cort', 'shsy5y', 'astro'], CLASSES)
    assert result['mAP_mix'] == pytest.approx(320 / 606)


def test_ap75_is_the_precision_at_three_quarters():
    tp = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0])
    result = summarize([ImageScore(tp, 1, 1)], ['cort'], CLASSES)
    assert (result['AP50'], result['AP75'], result['mAP']) == (1.0, 1.0, 0.6)
    tp[5] = 0
    assert summarize([ImageScore(tp, 1, 1)], ['cort'], CLASSES)['AP75'] == 0.0


def test_classes_are_those_of_the_data():
    full, none = ImageScore(np.ones(10, int), 1, 1), ImageScore(np.zeros(10, int), 0, 1)
    result = summarize([full, none, none], ['round', 'long', ''], ('round', 'long', 'flat'))
    assert result['mAP'] == pytest.approx(1 / 3)
    assert {key for key in result if key.startswith('mAP_')} == {'mAP_round', 'mAP_long'}
    assert (result['mAP_round'], result['mAP_long']) == (1, 0)

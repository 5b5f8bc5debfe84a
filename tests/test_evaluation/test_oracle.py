"""Scores with one part replaced by the truth, on squares whose IoU can be told by eye."""
import numpy as np
import pytest

from mmsart.datasets.classes import CLASSES
from mmsart.evaluation.oracle import Oracle, format_table, oracle_table
from mmsart.postprocessing import complete_config
from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.predictions import Predictions

SIZE = (60, 80)
CORT, ASTRO = CLASSES.index('cort'), CLASSES.index('astro')


def paint(*boxes):
    bitmaps = np.zeros((len(boxes), *SIZE), np.uint8)
    for bitmap, (x1, y1, x2, y2) in zip(bitmaps, boxes, strict=True):
        bitmap[y1:y2, x1:x2] = 1
    return PatchMasks.from_bitmaps(bitmaps)


def predictions(found, truth, scores, labels=CORT, bboxes=None):
    masks = paint(*found)
    return Predictions(
        Detections(scores, np.broadcast_to(labels, len(masks)), masks,
                   masks.boxes if bboxes is None else np.array(bboxes), 'a'),
        paint(*truth), 'cort', 's')


def oracle(**settings):
    return Oracle(CLASSES, complete_config(settings, CLASSES))


TRUTH = [(0, 0, 20, 20), (30, 0, 50, 20)]
HALF = (0, 0, 20, 11)  # of the first one, at an IoU of .55
AWAY = (0, 40, 20, 60)


def test_perfect_types_reach_the_thresholds_of_the_right_class():
    image = predictions([TRUTH[0]], TRUTH, [0.4], labels=ASTRO)
    one = oracle(vote='relabel', score_thr=dict(shsy5y=0.9, astro=0.9, cort=0.3))
    assert not len(one.as_it_is(image))
    assert one.perfect_types(image).labels.tolist() == [CORT]


def test_only_false_positives_are_dropped():
    final = oracle(score_thr=0.3).no_false_positives(
        predictions([HALF, AWAY, TRUTH[1]], TRUTH, [0.5, 0.9, 0.2]))
    np.testing.assert_allclose(final.scores, [0.5])


def test_perfect_scores_bring_back_what_thresholds_drop_and_prefer_the_better_mask():
    image = predictions([HALF, TRUTH[0], AWAY, TRUTH[1]], TRUTH, [0.9, 0.1, 0.8, 0.05])
    one = oracle(score_thr=0.6, nms_iou_thr=0.1, min_area=300)
    assert len(one.as_it_is(image)) == 1  # AWAY
    assert one.perfect_scores(image).masks.to_rles() == paint(*TRUTH).to_rles()


def test_a_true_mask_is_cut_at_the_box_that_it_belongs_to():
    image = predictions([(2, 2, 10, 10), AWAY, (30, 0, 35, 20)], TRUTH, [0.9, 0.8, 0.7], bboxes=[
        (0, 0, 20, 14),  # IoU .7 with the first
        AWAY,
        (30, 0, 38, 20)])  # IoU .4 with the second: no box of it
    final = oracle().true_masks(image)
    expected = paint((0, 0, 20, 14), AWAY, (30, 0, 35, 20))
    assert final.masks.tighten().to_rles() == expected.to_rles()


def test_masks_in_true_boxes_are_all_kept():
    image = predictions([HALF, TRUTH[1]], TRUTH, [0.01, 0.02])
    strict = oracle(score_thr=0.9, min_area=350, vote='drop')
    assert not len(strict.as_it_is(image))
    assert len(strict.predicted_masks(image)) == 2


def test_truth_loses_shared_pixels_and_no_more_than_the_grid_takes():
    image = predictions([], [(0, 0, 40, 40), (30, 0, 50, 10)], [])
    disjoint = oracle().disjoint_truth(image).masks
    assert sorted(disjoint.areas.tolist()) == [200, 1500]
    assert oracle().coarse_truth(image).masks.areas.tolist() == [200, 1500]  # squares fit a grid


def test_the_table():
    """One cell hit at an IoU of .55, the other missed, one false: each oracle's score by hand."""
    images = [predictions([HALF, AWAY], TRUTH, [0.9, 0.8])]
    table = oracle_table(images, images[:1], CLASSES, complete_config({}, CLASSES))
    scores = {name: row['mAP_cort'] for name, row in table.items()}
    assert scores == pytest.approx({
        'as it is': 1 / 3 / 10,  # of ten thresholds the first alone
        'perfect types': 1 / 3 / 10, 'no false positives': 1 / 2 / 10,
        'perfect scores': 1 / 2 / 10, 'predicted masks in true boxes': 1 / 3 / 10,
        'true masks in predicted boxes': 1 / 3 / 10,  # the box, too, has an IoU of .55
        'truth on a grid of 28 x 28': 1, 'truth without overlap': 1})
    lines = format_table(table, CLASSES).splitlines()
    assert lines[0].split() == ['mAP', 'mAP_cort', 'AP50', 'AP75', 'gain']
    assert lines[3].split()[-1] == '+0.0167'
    assert 'predicted masks in true boxes' not in oracle_table(
        images, None, CLASSES, complete_config({}, CLASSES))


@pytest.mark.parametrize(('found', 'truth', 'perfect'), [
    ([], [], {'as it is', 'perfect types', 'no false positives', 'perfect scores',
              'true masks in predicted boxes', 'predicted masks in true boxes'}),
    ([], TRUTH, set()),
    (TRUTH, [], {'no false positives', 'perfect scores'})])
def test_images_without_cells_or_detections(found, truth, perfect):
    images = [predictions(found, truth, np.ones(len(found)))]
    table = oracle_table(images, images, CLASSES, complete_config({}, CLASSES))
    assert {name: row['mAP'] for name, row in table.items()} == {
        name: float(name in perfect or name.startswith('truth')) for name in table}

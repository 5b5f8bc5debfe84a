import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsart.datasets.classes import CLASSES
from mmsart.evaluation.functional import score_image
from mmsart.postprocessing import PostProcessor
from mmsart.structures.detections import Detections
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.tuning.fast_score import Trial, arrange, evaluate, side_by_side
from tests.test_postprocessing.scenes import random_bitmaps

SEEDS = st.integers(0, 2**32 - 1)


def random_image(rng, height=24, width=30):
    """Predictions are true masks, moved a little, among others; true masks overlap."""
    truth = random_bitmaps(rng, height, width, int(rng.integers(0, 7)))
    truth = truth[truth.any((1, 2))]
    if rng.random() < 0.2:
        truth = truth[:0]  # whatever is predicted is wrong then
    moved = [np.roll(m, rng.integers(-2, 3, 2), (0, 1)) for m in truth if rng.random() < 0.8]
    masks = np.concatenate([
        np.array(moved, np.uint8).reshape(-1, height, width),
        random_bitmaps(rng, height, width, int(rng.integers(0, 6)))])
    scores = rng.integers(1, 9, len(masks)).astype(np.float32) / 8
    return CroppedMasks.from_bitmaps(masks), scores, CroppedMasks.from_bitmaps(truth)


def real_precision(image, trial, threshold):
    masks, scores, truth = image
    process = PostProcessor(
        CLASSES, score_thr=threshold, min_area=int(trial.min_area), nms_iou_thr=trial.nms_iou_thr,
        max_area=None if np.isinf(trial.max_area) else int(trial.max_area),
        max_lost_share=trial.max_lost_share)
    found = process(Detections(scores, np.zeros(len(scores)), masks, masks.boxes))
    return score_image(found.masks.to_runs(), truth.to_runs()).precision.mean()


@settings(deadline=None)
@given(SEEDS)
def test_equals_real_pipeline_and_metric_at_every_threshold(seed):
    rng = np.random.default_rng(seed)
    images = [random_image(rng) for _ in range(3)]
    trial = Trial(
        float(rng.choice([0, 4, 20])), float(rng.choice([np.inf, 90])),
        float(rng.choice([0.1, 0.4, 1.0])), float(rng.choice([0, 0.2, 0.5, 1.0])))
    curve = evaluate(side_by_side([arrange(*image) for image in images]), trial)
    for threshold in (0.0, 0.3, 0.5, 0.75):
        expected = [real_precision(image, trial, threshold) for image in images]
        for i in range(3):
            only = np.arange(3) == i
            assert curve.mean_precision(threshold, only) == pytest.approx(expected[i], abs=1e-12)
        everything = curve.mean_precision(threshold, np.ones(3, bool))
        assert everything == pytest.approx(np.mean(expected), abs=1e-12)


@settings(deadline=None)
@given(SEEDS)
def test_sweep_finds_the_best_threshold(seed):
    rng = np.random.default_rng(seed)
    images = [random_image(rng) for _ in range(2)]
    curve = evaluate(side_by_side([arrange(*image) for image in images]), Trial())
    chosen = np.array([True, bool(rng.integers(2))])
    value, threshold = curve.best_threshold(chosen)
    assert value == pytest.approx(curve.mean_precision(threshold, chosen), abs=1e-12)
    tried = [curve.mean_precision(t / 16, chosen) for t in range(1, 17)]
    if chosen[curve.image].any():
        assert value == pytest.approx(max(tried), abs=1e-12)


def test_threshold_lies_between_the_last_hit_and_the_first_miss():
    truth = np.zeros((1, 4, 8), np.uint8)
    truth[0, :, :4] = 1
    masks = CroppedMasks.from_bitmaps(np.concatenate([truth, truth[:, :, ::-1]]))
    curve = evaluate(
        arrange(masks, np.array([0.75, 0.25], np.float32), CroppedMasks.from_bitmaps(truth)),
        Trial())
    assert curve.best_threshold(np.array([True])) == (1.0, 0.5)
    assert curve.gain.tolist() == [1.0, -0.5]

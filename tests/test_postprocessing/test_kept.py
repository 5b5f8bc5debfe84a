"""Kept detections give the same cells as post-processing that starts anew."""
import numpy as np
import pytest

from mmsart.postprocessing import PostProcessor, complete_config
from mmsart.postprocessing.kept import KeptCrop, KeptFrame
from tests.test_postprocessing.scenes import random_detections

CLASSES = ('round', 'flat', 'long')


def random_settings(rng):
    return complete_config(dict(
        vote=str(rng.choice(['off', 'drop', 'relabel'])), vote_min_score=float(rng.choice([0, .5])),
        score_thr={name: float(rng.choice([0.1, 0.3, 0.6])) for name in CLASSES},
        fill_holes=bool(rng.integers(2)), largest_component=bool(rng.integers(2)),
        min_area={name: int(rng.integers(0, 30)) for name in CLASSES},
        max_area=None if rng.integers(2) else 200,
        nms_iou_thr=None if rng.integers(2) else float(rng.uniform(0.1, 0.9)),
        remove_overlap=bool(rng.integers(2)), max_lost_share=float(rng.uniform(0.2, 1)),
        pieces=str(rng.choice(['keep', 'largest', 'drop']))), CLASSES)


@pytest.mark.parametrize('seed', range(40))
def test_other_thresholds_choose_as_if_asked_at_first(seed):
    rng = np.random.default_rng(seed)
    detections, settings = random_detections(rng, num=14), random_settings(rng)
    prepared = PostProcessor(CLASSES, **settings).prepare(detections)
    frame = KeptFrame.number([KeptCrop(prepared)], (40, 56), 'scene')
    for _ in range(3):
        changed = settings | {name: random_settings(rng)[name]
                              for name in ('score_thr', 'min_area', 'max_area')}
        found = frame.finish(CLASSES, changed)
        expected = PostProcessor(CLASSES, **changed)(detections)
        assert np.array_equal(found.scores, expected.scores)
        assert np.array_equal(found.labels, expected.labels)
        assert np.array_equal(found.masks.to_ndarray(), expected.masks.to_ndarray())
        assert len(np.unique(found.ids)) == len(found)
        assert np.array_equal(prepared.scores[found.ids], found.scores)

"""Kept detections give the same cells as post-processing that starts anew, fast or plainly."""
import numpy as np
import pytest

from mmsart.imaging.tiles import tile_grid
from mmsart.postprocessing import PostProcessor, complete_config
from mmsart.postprocessing.chooser import Chooser
from mmsart.postprocessing.kept import KeptCrop, KeptFrame
from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks
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
        expected = PostProcessor(CLASSES, **changed)(detections)
        for found in (frame.finish(CLASSES, changed), Chooser(frame).choose(CLASSES, changed)):
            assert_same(found, expected)
            assert len(np.unique(found.ids)) == len(found)
            assert np.array_equal(prepared.scores[found.ids], found.scores)


def random_tiles(rng, height=200, width=230):
    """Draw detections in tiles that overlap; cells of the overlaps are found in each, or nearly."""
    ys, xs = np.mgrid[:height, :width]
    shapes = [((ys - rng.uniform(0, height)) / rng.uniform(3, 16)) ** 2
              + ((xs - rng.uniform(0, width)) / rng.uniform(3, 16)) ** 2 <= 1
              for _ in range(90)]
    scores = rng.integers(1, 11, len(shapes)) / 10  # some are equal
    labels = rng.integers(0, 3, len(shapes))
    crops = []
    for tile in tile_grid((height, width), (96, 96), 32):
        x1, y1, x2, y2 = tile.box
        bitmaps = np.array([np.roll(shape, rng.integers(-1, 2), rng.integers(2))[y1:y2, x1:x2]
                            for shape in shapes])
        seen = bitmaps.any((1, 2))
        masks = PatchMasks.from_bitmaps(bitmaps[seen])
        crops.append(KeptCrop(Detections(
            np.clip(scores[seen] + rng.integers(-1, 2, seen.sum()) / 10, 0, 1), labels[seen],
            masks, masks.boxes), tile.box, tile.core))
    return KeptFrame.number(crops, (height, width), 'mosaic')


@pytest.mark.parametrize('seed', range(25))
def test_the_fast_way_chooses_the_same_in_tiles(seed):
    rng = np.random.default_rng(seed)
    frame = random_tiles(rng)
    chooser = Chooser(frame)
    for _ in range(4):
        settings = random_settings(rng) | dict(vote='off')
        found = chooser.choose(CLASSES, settings)
        expected = frame.finish(CLASSES, settings)
        assert_same(found, expected)
        assert np.array_equal(found.ids, expected.ids)
        assert np.array_equal(found.bboxes, expected.bboxes)


@pytest.mark.parametrize('seed', range(3))
def test_twins_share_more_than_half_or_suppress_each_other(seed):
    rng = np.random.default_rng(seed)
    frame = random_tiles(rng)
    chooser, size = Chooser(frame), frame.size
    whole, places = [], []
    for crop in frame.crops:
        x1, y1, x2, y2 = crop.box
        for bitmap in crop.detections.masks.to_ndarray():
            whole.append(np.zeros(size, bool))
            whole[-1][y1:y2, x1:x2] = bitmap
            places.append((slice(y1, y2), slice(x1, x2)))
    seen = []
    for place in places:
        seen.append(np.zeros(size, bool))
        seen[-1][place] = True
    thr = complete_config(dict(nms_iou_thr=dict(round=0.1, flat=0.9, long=None)), CLASSES)
    labels = np.concatenate([crop.detections.labels for crop in frame.crops])
    scores = np.concatenate([crop.detections.scores for crop in frame.crops])
    counts = np.zeros(2, int)
    for row in rng.permutation(len(whole))[:40].tolist():
        expected = set()
        for other in range(len(whole)):
            one, two = (mask & seen[row] & seen[other] for mask in (whole[row], whole[other]))
            worse = max(row, other, key=lambda each: (-scores[each], each))
            own = places[row] == places[other]
            least = 0.1 if own and labels[worse] == 0 else 0.5
            if row != other and (one & two).sum() > (one | two).sum() * least:
                expected.add(other)
                counts[int(own)] += 1
        assert chooser.twins([row], CLASSES, thr) == expected
    assert counts[1] > 2
    assert counts[0] > 20
    assert chooser.twins([1 << 24], CLASSES, thr) == set()


def test_the_fast_way_does_not_mind_an_empty_tile():
    none = Detections(np.zeros(0), np.zeros(0), PatchMasks.empty(64, 64), np.zeros((0, 4)))
    for crops in ([KeptCrop(none)], [KeptCrop(none, (0, 0, 64, 64), (0, 0, 48, 64)),
                                     KeptCrop(none, (32, 0, 96, 64), (48, 0, 96, 64))]):
        frame = KeptFrame.number(crops, (64, 64 if len(crops) == 1 else 96), 'empty')
        assert len(Chooser(frame).choose(CLASSES, complete_config({}, CLASSES))) == 0


def assert_same(found, expected):
    assert np.array_equal(found.scores, expected.scores)
    assert np.array_equal(found.labels, expected.labels)
    assert found.masks.to_rles() == expected.masks.to_rles()

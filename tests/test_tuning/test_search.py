from dataclasses import replace

import numpy as np
import optuna
import pytest

from mmsart.datasets.classes import CLASSES
from mmsart.postprocessing import PostProcessor, complete_config
from mmsart.structures.detections import Detections
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.predictions import Predictions
from mmsart.tuning.class_search import LIMIT_GAIN, SCORE_FLOOR, ClassSearch, MaskCuts
from mmsart.tuning.search import score_real, split_folds, tune

SIZE, SIDE = 48, 6
NEUTRAL = complete_config({}, CLASSES)


def make_image(rng, number, good=6, junk=8):
    """Square cells found as they are with high scores, and junk: specks and shifted copies.

    The last cell has the label of another class.
    """
    label, sample = number % 2, f'well-{number // 2 % 3}'
    corners = [(y, x) for y in range(0, SIZE, 12) for x in range(0, SIZE, 12)]
    chosen = rng.permutation(len(corners))[:good]
    truth = np.zeros((good, SIZE, SIZE), np.uint8)
    for bitmap, at in zip(truth, chosen, strict=True):
        y, x = corners[at]
        bitmap[y:y + SIDE, x:x + SIDE] = 1
    wrong = np.zeros((junk, SIZE, SIZE), np.uint8)
    for i, bitmap in enumerate(wrong):
        if i % 2:
            bitmap[rng.integers(SIZE), rng.integers(SIZE)] = 1  # a speck
        else:
            bitmap |= np.roll(truth[rng.integers(good)], rng.integers(3, 9, 2), (0, 1))
    masks = CroppedMasks.from_bitmaps(np.concatenate([truth, wrong]))
    scores = np.concatenate([rng.uniform(0.6, 0.9, good), rng.uniform(0.1, 0.55, junk)])
    scores[good:][1::2] = 0.95  # specks look sure
    labels = np.full(good + junk, label)
    labels[good - 1] = (label + 1) % 3
    return Predictions(
        Detections(scores, labels, masks, masks.boxes, f'image{number}'),
        CroppedMasks.from_bitmaps(truth), CLASSES[label], sample)


@pytest.fixture(scope='module')
def images():
    rng = np.random.default_rng(0)
    return [make_image(rng, number) for number in range(8)]


@pytest.fixture(scope='module')
def result(images):
    return tune(images, CLASSES, NEUTRAL, trials=30, folds=3)


def means(scores):
    return np.mean([score.precision.mean() for score in scores])


def test_gain_is_real_and_holds_on_other_images(images, result):
    """The junk can be told by area and score, in every image alike."""
    assert means(result.before) < 0.6
    assert means(result.in_sample) == 1.0
    assert means(result.out_of_sample) == 1.0
    process = PostProcessor(CLASSES, **result.config)
    assert score_real(images[0], process).tp.tolist() == [6] * 10


def test_settings_are_valid_and_say_what_they_must(result):
    config = result.config
    assert complete_config(config, CLASSES) == config
    assert config['vote'] == 'relabel'  # a cell of each image has another label
    for name in ('shsy5y', 'astro'):
        assert 0 < config['score_thr'][name] < 0.7  # below most true cells
        assert 1 < config['min_area'][name] <= SIDE**2
    assert config['score_thr']['cort'] == 0.0  # no image: the setting is left alone


def test_other_labels_are_dropped_where_that_is_clearly_better(images, monkeypatch):
    junk = []
    for image in images:
        labels = np.full(len(image.detections), CLASSES.index(image.cell_type))
        labels[6:] = (labels[6:] + 1) % 3  # all that is wrong has another label
        junk.append(replace(image, detections=replace(image.detections, labels=labels)))
    base = complete_config(dict(vote_min_score=0.56), CLASSES)  # true cells and specks vote
    assert tune(junk, CLASSES, base, trials=2, folds=2).config['vote'] == 'drop'
    monkeypatch.setattr('mmsart.tuning.search.VOTE_MARGIN', 1.0)
    assert tune(junk, CLASSES, base, trials=2, folds=2).config['vote'] == 'relabel'


def test_processes_find_the_same_settings(images, result):
    assert tune(images, CLASSES, NEUTRAL, trials=30, folds=3, workers=2).config == result.config


def test_same_seed_same_settings(images, result):
    assert tune(images, CLASSES, NEUTRAL, trials=30, folds=3).config == result.config


def test_folds_keep_samples_together(images):
    trainings = split_folds(images, 3, seed=0)
    assert len(trainings) == 3
    held_out = np.array([~train for train in trainings])
    assert (held_out.sum(0) == 1).all()
    for train in trainings:
        inside = {image.sample_id for image, used in zip(images, train, strict=True) if used}
        outside = {image.sample_id for image, used in zip(images, train, strict=True) if not used}
        assert not inside & outside
    assert split_folds(images[:2], 3, seed=0) == []


def test_held_out_images_do_not_steer_their_settings():
    """Exchange the truth of one fold's held-out images: its settings stay what they were.

    Scores are noise here, so that each image pulls the settings its own way.
    """
    rng = np.random.default_rng(1)
    images = [make_image(rng, number) for number in range(8)]
    for image in images:
        image.detections.scores[:] = rng.uniform(0.1, 1, len(image.detections))
    fold, *others = tune(images, CLASSES, NEUTRAL, trials=40, folds=3).folds
    spoiled = [
        image if used else replace(image, truth=image.detections.masks[image.detections.masks.areas
                                                                       < SIDE**2])
        for image, used in zip(images, fold.train, strict=True)]
    again, *changed = tune(spoiled, CLASSES, NEUTRAL, trials=40, folds=3).folds
    assert again.config == fold.config
    assert [each.config for each in changed] != [each.config for each in others]


def test_a_higher_floor_leaves_what_is_above_it(images):
    cuts = [MaskCuts(image, CLASSES) for image in images]
    search = ClassSearch(('shsy5y',), np.arange(len(images)), cuts, 'relabel', NEUTRAL)
    sets = [np.arange(len(images)) % 2 == 0, np.ones(len(images), bool),
            np.zeros(len(images), bool)]
    everything = search.curve(search.start())
    floors = search.raise_floor(sets)
    best = [everything.best_threshold(chosen)[1] for chosen in sets[:2]]
    assert floors[:2] == [max(SCORE_FLOOR, threshold / 2) for threshold in best]
    assert search.floor == min(floors[:2]) > SCORE_FLOOR
    search._scenes.clear()
    above = search.curve(search.start())
    loud = everything.scores >= np.float32(search.floor)
    assert 0 < loud.sum() < len(loud), 'nothing below the floor'
    np.testing.assert_array_equal(above.scores, everything.scores[loud])
    np.testing.assert_allclose(above.gain, everything.gain[loud], rtol=0, atol=1e-15)
    assert above.best_threshold(sets[0], 0.9)[1] >= 0.9


def test_detections_without_pixels_are_no_obstacle(images):
    """A model trained briefly gives mostly empty masks; medians of their areas are 0."""
    empty = CroppedMasks.from_bitmaps(np.zeros((40, SIZE, SIZE), np.uint8))
    crowded = []
    for image in images[:4]:
        found = image.detections
        masks = CroppedMasks.from_bitmaps(
            np.concatenate([found.masks.to_ndarray(), empty.to_ndarray()]))
        crowded.append(replace(image, detections=Detections(
            np.append(found.scores, np.full(40, 0.5)), np.append(found.labels, np.zeros(40)),
            masks, masks.boxes, found.img_id)))
    assert means(tune(crowded, CLASSES, NEUTRAL, trials=8, folds=2).in_sample) > 0.5


def test_the_threshold_written_keeps_the_last_detection(images):
    """Where all detections are right the best threshold is the lowest score itself."""
    rng = np.random.default_rng(5)
    perfect = []
    for image in images[:4]:
        scores = rng.uniform(0.3, 0.9, len(image.truth))
        perfect.append(replace(image, detections=Detections(
            scores, np.full(len(scores), CLASSES.index(image.cell_type)), image.truth,
            image.truth.boxes, image.detections.img_id)))
    for seed in range(3):
        result = tune(perfect, CLASSES, NEUTRAL, trials=4, folds=2, seed=seed)
        assert means(result.in_sample) == 1


def test_the_result_is_disjoint_whatever_the_settings_to_begin_with(images, result):
    other = tune(images, CLASSES, {**NEUTRAL, 'remove_overlap': False}, trials=30, folds=3)
    assert other.config == result.config


def test_trial_equals_real_pipeline(images):
    cuts = [MaskCuts(image, CLASSES) for image in images[:2]]
    search = ClassSearch(('shsy5y',), np.arange(2), cuts, 'relabel', NEUTRAL)
    trial = optuna.trial.FixedTrial({
        'fill_holes': True, 'largest_component': True, 'min_area': 3, 'max_area': 60,
        'nms_iou_thr': 0.3, 'max_lost_share': 0.4})
    params = search.suggest(trial)
    value, threshold = search.curve(params).best_threshold(np.ones(2, bool))
    process = PostProcessor(
        CLASSES, vote='relabel', score_thr=threshold, fill_holes=True, largest_component=True,
        min_area=3, max_area=60, nms_iou_thr=0.3, max_lost_share=0.4)
    relabelled = [PostProcessor(CLASSES, vote='relabel', remove_overlap=False)(i.detections)
                  for i in images[:2]]
    real = [score_real(Predictions(d, i.truth, i.cell_type, ''), process)
            for d, i in zip(relabelled, images[:2], strict=True)]
    assert value == pytest.approx(means(real), abs=1e-12)


def test_limits_of_size_that_gain_nothing_stay_off(images):
    """Other images hold larger cells; the false detections here are smaller than every cell."""
    chosen = np.ones(len(images), bool)
    cuts = [MaskCuts(image, CLASSES) for image in images]
    search = ClassSearch(('shsy5y',), np.arange(len(images)), cuts, 'relabel', NEUTRAL)
    found = {}
    for limits in (dict(min_area=0, max_area=SIDE**2), dict(min_area=0, max_area=10)):
        params = {**search.start(), **limits}
        value, threshold = search.curve(params).best_threshold(chosen)
        found[limits['max_area']] = search.free(value, threshold, params, chosen, 0.0)
    assert found[SIDE**2][1]['max_area'] is None
    assert found[10][1]['max_area'] is None  # it lost cells
    params = {**search.start(), 'min_area': 20, 'max_area': None}
    value, threshold = search.curve(params).best_threshold(chosen)
    without = search.curve({**params, 'min_area': 0}).best_threshold(chosen)[0]
    assert without < value - LIMIT_GAIN  # or the next line could not fail
    assert search.free(value, threshold, params, chosen, 0.0)[1]['min_area'] == 20


def test_one_class_is_tuned_without_a_vote(images):
    cells = [replace(image, cell_type='cell', detections=replace(
        image.detections, labels=np.zeros(len(image.detections), int))) for image in images]
    result = tune(cells, ('cell',), complete_config({}, ('cell',)), trials=30, folds=3)
    assert result.config['vote'] == 'off'
    assert means(result.out_of_sample) == 1.0
    assert 1 < result.config['min_area']['cell'] <= SIDE**2


def test_types_that_share_an_image_share_their_settings(images):
    """A vote would give every cell of the image one type."""
    mixed = [replace(image, cell_type='') for image in images]
    result = tune(mixed, CLASSES, NEUTRAL, trials=30, folds=3)
    assert result.config['vote'] == 'off'
    assert len(set(result.config['score_thr'].values())) == 1
    assert means(result.in_sample) == 1.0


def test_cells_invented_where_nothing_is_cost_score(images):
    """Only images without truth: the best is to keep nothing, and that scores 1."""
    empty = [replace(image, truth=image.truth[:0]) for image in images]
    result = tune(empty, CLASSES, NEUTRAL, trials=4, folds=2)
    assert means(result.before) == 0
    assert means(result.in_sample) == 1

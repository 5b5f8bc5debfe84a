"""Search for the post-processing that scores best, and tell what it is worth on other images.

Where each image holds one of several types of cell, each class is tuned by itself on the images
that the vote gives to it; else all classes share their settings. Half of a class's trials are
drawn at random, once for all folds; from there each fold, and the final search over all images,
goes on by itself with Optuna's TPE, on its own training images only. The score threshold is no
parameter of these trials: each one sweeps it exactly.
"""
from __future__ import annotations

import itertools
import multiprocessing
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import optuna

from mmsart.datasets.splits import kfold
from mmsart.evaluation.functional import ImageScore, score_image
from mmsart.postprocessing.config import complete_config
from mmsart.postprocessing.postprocessor import PostProcessor, vote_type
from mmsart.structures.predictions import Predictions
from mmsart.tuning.class_search import ClassSearch, MaskCuts, search_class
from mmsart.tuning.fast_score import Curve

PIECES = ('keep', 'largest', 'drop')
VOTE_MARGIN = 0.001
"""Mean precision by which dropping has to beat relabelling: less is chance, and folds that choose
differently have to be searched for both."""


@dataclass
class Tuned:
    """Settings for one set of training images.

    Attributes:
        config: complete settings.
        train: (I,) bool, the images they were chosen on.
    """

    config: dict[str, Any]
    train: np.ndarray


@dataclass
class TuningResult:
    """What the search found.

    Attributes:
        config: complete settings, chosen on all images.
        before: score of each image with the settings to begin with.
        in_sample: score of each image with `config`.
        out_of_sample: score of each image with the settings that its fold never saw it for.
        folds: the settings of each fold.
    """

    config: dict[str, Any]
    before: list[ImageScore]
    in_sample: list[ImageScore]
    out_of_sample: list[ImageScore]
    folds: list[Tuned]


def tune(
        images: Sequence[Predictions], classes: Sequence[str], base: Mapping[str, Any],
        trials: int = 500, folds: int = 5, seed: int = 0, workers: int = 1) -> TuningResult:
    """Tune all settings of all classes.

    Args:
        images: at least one; those of one sample are never in training and held out at once.
        classes: names in label order.
        base: complete settings to begin with; kept where a class has no image.
        trials: for each class.
        folds: of the cross-validation; fewer where there are fewer samples.
        seed: of the folds and the search.
        workers: processes among which the classes are shared out; more than the classes are of no
            use. They change nothing in the result.

    Returns:
        Settings and real scores.
    """
    trainings = [*split_folds(images, folds, seed), np.ones(len(images), bool)]
    with _quiet_optuna():
        tuned = _tune_sets(images, tuple(classes), base, trainings, trials, seed, workers)
    before = [score_real(image, PostProcessor(classes, **base)) for image in images]
    for result in tuned:
        _choose_pieces(images, tuple(classes), result)
    final = PostProcessor(classes, **tuned[-1].config)
    held_out: list[ImageScore] = list(before)
    for result in tuned[:-1]:
        process = PostProcessor(classes, **result.config)
        for i in np.flatnonzero(~result.train).tolist():
            held_out[i] = score_real(images[i], process)
    in_sample = [score_real(image, final) for image in images]
    return TuningResult(tuned[-1].config, before, in_sample, held_out, tuned[:-1])


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Keep Optuna from logging each study and from calling multivariate TPE experimental."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def split_folds(images: Sequence[Predictions], folds: int, seed: int) -> list[np.ndarray]:
    """Split images by sample, with a like mix of types in each fold.

    Args:
        images: all of them.
        folds: how many; fewer where there are fewer samples or images of a type, none for one.
        seed: of the split.

    Returns:
        The training images of each fold, (I,) bool.
    """
    ids = [image.img_id for image in images]
    types = [image.cell_type for image in images]
    groups = [image.sample_id or image.img_id for image in images]
    folds = min(folds, len(set(groups)), max(map(types.count, types)))
    if folds < 2:
        return []
    trainings = [kfold(ids, types, groups, folds, fold, seed)[0] for fold in range(folds)]
    return [np.isin(np.arange(len(images)), train) for train in trainings]


def _tune_sets(
        images: Sequence[Predictions], classes: tuple[str, ...], base: Mapping[str, Any],
        trainings: list[np.ndarray], trials: int, seed: int, workers: int) -> list[Tuned]:
    """Choose the way of voting and all settings but `pieces` for each set of training images."""
    cuts = [MaskCuts(image, classes) for image in images]
    votes = ('drop', 'relabel') if have_one_type(images, classes) else ('off',)
    searches = {vote: _class_searches(cuts, classes, vote, base, seed) for vote in votes}
    # Submissions have to be disjoint, and trials are.
    results = [Tuned(complete_config({**base, 'remove_overlap': True}, classes), train)
               for train in trainings]
    with _workers(min(workers, len(searches[votes[0]])), searches) as run:
        starts = run(_start_curve, [
            (vote, i) for vote, members in searches.items() for i in range(len(members))])
        curves = {
            vote: [(search.members, next(starts)) for search in members]
            for vote, members in searches.items()}

        def worth(vote: str, train: np.ndarray) -> float:
            return sum(
                curve.best_threshold(train[members])[0] * train[members].sum()
                for members, curve in curves[vote])

        for result in results:
            result.config['vote'] = votes[-1]
            if 'drop' in votes:
                bar = worth('relabel', result.train) + VOTE_MARGIN * result.train.sum()
                if worth('drop', result.train) > bar:
                    result.config['vote'] = 'drop'
        tasks = [
            (vote, i, [result.train[search.members] for result in results
                       if result.config['vote'] == vote], trials)
            for vote, members in searches.items() for i, search in enumerate(members)]
        tasks = [task for task in tasks if task[2]]
        for (vote, i, *_), found in zip(tasks, run(_search, tasks), strict=True):
            voters = [result for result in results if result.config['vote'] == vote]
            for result, params in zip(voters, found, strict=True):
                for name, value in params.items():
                    result.config[name].update(dict.fromkeys(searches[vote][i].names, value))
    return results


_searches: dict[str, list[ClassSearch]] = {}
"""What a worker process searches: handed over once, when it starts."""


@contextmanager
def _workers(
        count: int, searches: dict[str, list[ClassSearch]],
) -> Iterator[Callable[[Callable, list[tuple]], Iterator[Any]]]:
    """Return a `map` over tuples of arguments, in this process or in several new ones."""
    if count <= 1:
        _prepare(searches)
        try:
            yield itertools.starmap
        finally:
            _searches.clear()
        return
    # Not forked: the threads of torch and OpenCV in this process would be missing in a copy.
    with ProcessPoolExecutor(
            count, multiprocessing.get_context('spawn'), _prepare, (searches, 1)) as pool:
        yield lambda function, tasks: pool.map(partial(_starred, function), tasks)


def _prepare(searches: dict[str, list[ClassSearch]], threads: int | None = None) -> None:
    _searches.update(searches)
    if threads:
        import torch  # this module does without

        torch.set_num_threads(threads)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.simplefilter('ignore', optuna.exceptions.ExperimentalWarning)


def _starred(function: Callable, arguments: tuple) -> Any:
    return function(*arguments)


def _start_curve(vote: str, index: int) -> Curve:
    search = _searches[vote][index]
    return search.curve(search.start())


def _search(
        vote: str, index: int, trainings: list[np.ndarray], trials: int) -> list[dict[str, Any]]:
    return search_class(_searches[vote][index], trainings, trials)


def have_one_type(images: Sequence[Predictions], classes: Sequence[str]) -> bool:
    """Return whether there are several classes, and each image shows cells of one of them alone."""
    return len(classes) > 1 and all(
        image.cell_type or image.truth is None or not len(image.truth) for image in images)


def _class_searches(
        images: Sequence[MaskCuts], classes: tuple[str, ...], vote: str, base: Mapping[str, Any],
        seed: int) -> list[ClassSearch]:
    """Make a search for each group of images that get their settings together."""
    groups = _groups([cuts.image for cuts in images], classes, vote, base['vote_min_score'])
    return [
        ClassSearch(names, members, [images[i] for i in members], vote, base, seed)
        for names, members in groups]


def _groups(
        images: Sequence[Predictions], classes: tuple[str, ...], vote: str,
        min_score: float) -> list[tuple[tuple[str, ...], np.ndarray]]:
    """Group the images by the type that the vote gives them; all of one group without a vote.

    Returns:
        Class names and the positions of their images, int64 (M,), M >= 1.
    """
    voted = voted_labels(images, classes, min_score)
    if vote == 'off':
        groups = [(classes, np.flatnonzero(voted >= 0))]
    else:
        groups = [((name,), np.flatnonzero(voted == label)) for label, name in enumerate(classes)]
    return [(names, members) for names, members in groups if len(members)]


def voted_labels(
        images: Sequence[Predictions], classes: Sequence[str], min_score: float) -> np.ndarray:
    """Return the class that each image's detections vote for, (I,) int64; -1 without detections."""
    return np.array([
        vote_type(found.scores, found.labels, len(classes), min_score) if len(found) else -1
        for found in (image.detections for image in images)], np.int64)


def _choose_pieces(
        images: Sequence[Predictions], classes: tuple[str, ...], result: Tuned) -> None:
    """Choose what becomes of masks that fall apart, which only the real pipeline can tell."""
    chosen = [image for image, used in zip(images, result.train, strict=True) if used]
    earlier = PostProcessor(classes, **{**result.config, 'remove_overlap': False})
    ready = [replace(image, detections=earlier(image.detections)) for image in chosen]
    values = {}
    for pieces in PIECES:
        last = PostProcessor(
            classes, min_area=result.config['min_area'],
            max_lost_share=result.config['max_lost_share'], pieces=pieces)
        values[pieces] = np.array([score_real(image, last).precision.mean() for image in ready])
    for names, members in _groups(
            chosen, classes, result.config['vote'], result.config['vote_min_score']):
        best = max(PIECES, key=lambda pieces: values[pieces][members].mean())
        result.config['pieces'].update(dict.fromkeys(names, best))


def score_real(image: Predictions, process: PostProcessor) -> ImageScore:
    """Score an image by the real post-processing and the real metric."""
    assert image.truth is not None, f'image {image.img_id}: no truth, expected annotations'
    return score_image(process(image.detections).masks.to_runs(), image.truth.to_runs())

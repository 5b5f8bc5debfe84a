"""The search for one class's settings."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import optuna

from mmsart.postprocessing.postprocessor import PostProcessor
from mmsart.structures.detections import Detections
from mmsart.structures.predictions import Predictions
from mmsart.tuning.fast_score import Curve, Trial, arrange, evaluate, side_by_side

SCORE_FLOOR = 0.05
"""Detections below it are not looked at: no useful threshold is that low."""
FLOOR_SHARE = 0.5
"""Trials look down to this share of the lowest threshold that suits the settings to begin with."""
LIMIT_GAIN = 0.002
"""Limits of size that gain less stay off: they would drop cells that are larger elsewhere."""
MASK_THRS = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6)


@dataclass
class MaskCuts:
    """The detections of one image, their soft masks cut at one threshold and another.

    Each cut is kept for the next time, and all searches share it: pasting soft masks is the larger
    part of preparing a trial.

    Args:
        image: the detections and the truth.
        classes: names in label order.
    """

    image: Predictions
    classes: tuple[str, ...]
    _cut: dict[tuple, Detections] = field(default_factory=dict, init=False, repr=False)

    def at(self, mask_thr: float | None, floor: float = SCORE_FLOOR) -> Detections:
        """Return the detections that score enough.

        Args:
            mask_thr: of the mask probabilities; None for the masks as they are.
            floor: the least score.
        """
        key = mask_thr, floor
        if key not in self._cut:
            found = self.image.detections
            loud = found[found.scores >= np.float32(floor)]
            cut = PostProcessor(self.classes, mask_thr=mask_thr, remove_overlap=False)(loud)
            self._cut[key] = replace(cut, mask_probs=None)
        return self._cut[key]


@dataclass
class ClassSearch:
    """The trials of one class, over the images that the vote gives to it.

    Args:
        names: of the class, or of all classes where they share their settings.
        members: (M,) int64, the images, by their position among all.
        images: these M images.
        vote: 'drop', 'relabel' or 'off'.
        base: the settings to begin with.
        seed: of everything random.
        floor: the score down to which trials look.
    """

    names: tuple[str, ...]
    members: np.ndarray
    images: list[MaskCuts]
    vote: str
    base: Mapping[str, Any]
    seed: int = 0
    floor: float = SCORE_FLOOR
    _scenes: dict[tuple, Any] = field(default_factory=dict, init=False, repr=False)

    def curve(self, params: Mapping[str, Any]) -> Curve:
        """Score the settings of a trial at every score threshold.

        Args:
            params: values by the setting's name; see :meth:`suggest`.

        Returns:
            Precision over the M images, which count from 0.
        """
        key = (params['mask_thr'], params['fill_holes'], params['largest_component'])
        if key not in self._scenes:
            self._scenes[key] = side_by_side([self._arrange(cuts, key) for cuts in self.images])
        return evaluate(self._scenes[key], Trial(
            params['min_area'], params['max_area'] or np.inf, params['nms_iou_thr'],
            params['max_lost_share']))

    def _arrange(self, cuts: MaskCuts, key: tuple) -> Any:
        """Run the stages before the areas as a submission would, and find the regions."""
        mask_thr, fill_holes, largest = key
        detections = cuts.at(mask_thr, self.floor)
        if self.vote == 'drop':
            labels = [cuts.classes.index(name) for name in self.names]
            detections = detections[np.isin(detections.labels, labels)]
        shape = PostProcessor(
            cuts.classes, fill_holes=fill_holes, largest_component=largest, remove_overlap=False)
        shaped = shape(detections)
        assert cuts.image.truth is not None, f'image {cuts.image.img_id}: expected its truth'
        return arrange(shaped.masks, shaped.scores, cuts.image.truth)

    def raise_floor(self, trainings: Sequence[np.ndarray]) -> list[float]:
        """Let the trials to come ignore detections far below every useful threshold.

        Most detections of a model score low, and each costs a trial as much as a good one.

        Args:
            trainings: (M,) bool each, sets of images.

        Returns:
            How far down each set has to look; the others' images have no say in it.
        """
        curve = self.curve(self.start())
        floors = [max(SCORE_FLOOR, FLOOR_SHARE * curve.best_threshold(chosen)[1])
                  for chosen in trainings]
        self.floor = min((floor for floor, chosen in zip(floors, trainings, strict=True)
                          if chosen.any()), default=SCORE_FLOOR)
        return floors

    @cached_property
    def area_range(self) -> tuple[int, int]:
        """Where to look for areas: up to the median detection, and from there to the largest.

        Taken from detections, not from true objects, which folds must not know of each other.
        """
        areas = np.concatenate([
            found.masks.areas[found.scores >= SCORE_FLOOR]
            for found in (cuts.image.detections for cuts in self.images)] + [[1, 2]])
        low = max(int(np.median(areas)), 1)
        return low, max(int(areas.max()), low + 1)

    def start(self) -> dict[str, Any]:
        """Return the settings to begin with as a trial's parameters."""
        names = ('fill_holes', 'largest_component', 'min_area', 'max_area', 'max_lost_share')
        params = {name: self.base[name][self.names[0]] for name in names}
        thr = self.base['nms_iou_thr'][self.names[0]]
        mask_thr = self.base['mask_thr'][self.names[0]] if self._soft() else None
        return {**params, 'nms_iou_thr': 1.0 if thr is None else thr, 'mask_thr': mask_thr}

    def suggest(self, trial: optuna.trial.BaseTrial) -> dict[str, Any]:
        """Draw a trial's parameters."""
        low, high = self.area_range
        return {
            'mask_thr': (
                trial.suggest_categorical('mask_thr', MASK_THRS) if self._soft() else None),
            'fill_holes': trial.suggest_categorical('fill_holes', [False, True]),
            'largest_component': trial.suggest_categorical('largest_component', [False, True]),
            'min_area': trial.suggest_int('min_area', 0, low),
            'max_area': trial.suggest_int('max_area', low, high, log=True),
            'nms_iou_thr': round(trial.suggest_float('nms_iou_thr', 0.02, 1.0, step=0.01), 2),
            'max_lost_share': round(
                trial.suggest_float('max_lost_share', 0.05, 1.0, step=0.01), 2)}

    def free(self, value: float, threshold: float, params: dict[str, Any], chosen: np.ndarray,
             floor: float) -> tuple[float, dict[str, Any]]:
        """Drop the limits of size that hardly gain: other images may hold smaller or larger cells.

        Args:
            value: the score of the settings.
            threshold: their score threshold.
            params: the settings.
            chosen: (M,) bool, the training images.
            floor: how far down to look for a threshold.

        Returns:
            The threshold and the settings, without what gains less than :data:`LIMIT_GAIN`.
        """
        for name, none in (('max_area', None), ('min_area', 0)):
            freer = {**params, name: none}
            reached, at = self.curve(freer).best_threshold(chosen, floor)
            if reached > value - LIMIT_GAIN:
                threshold, params = at, freer
        return threshold, params

    def _soft(self) -> bool:
        return all(cuts.image.detections.mask_probs is not None for cuts in self.images)


def search_class(
        search: ClassSearch, trainings: Sequence[np.ndarray], trials: int) -> list[dict[str, Any]]:
    """Find the best settings of a class for several sets of training images.

    Args:
        search: the class's trials.
        trainings: (M,) bool each, the training images among the class's.
        trials: how many in all: half random and shared, half TPE, split evenly among the sets.

    Returns:
        For each set the best parameters with their ``score_thr``; empty where it has no image.
    """
    floors = search.raise_floor(trainings)
    shared = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=search.seed))
    drawn = [shared.ask() for _ in range(max(trials // 2, 1))]
    candidates = [search.start()] + [search.suggest(trial) for trial in drawn]
    curves = [search.curve(params) for params in candidates]
    results: list[dict[str, Any]] = []
    for number, (chosen, floor) in enumerate(zip(trainings, floors, strict=True)):
        if not chosen.any():
            results.append({})
            continue
        found = [(*curve.best_threshold(chosen, floor), params)
                 for curve, params in zip(curves, candidates, strict=True)]
        study = optuna.create_study(
            direction='maximize', sampler=optuna.samplers.TPESampler(
                seed=search.seed + number, multivariate=True))
        study.add_trials([
            optuna.trial.create_trial(
                params=trial.params, distributions=trial.distributions, value=value)
            for trial, (value, _, _) in zip(drawn, found[1:], strict=True)])
        for _ in range(trials // 2 // len(trainings)):
            trial = study.ask()
            params = search.suggest(trial)
            value, threshold = search.curve(params).best_threshold(chosen, floor)
            study.tell(trial, value)
            found.append((value, threshold, params))
        threshold, params = search.free(
            *max(found, key=lambda item: item[0]), chosen=chosen, floor=floor)
        # Down, never up: the threshold may be the very score of the last detection to keep.
        results.append({**params, 'score_thr': math.floor(threshold * 1e6) / 1e6})
    return results

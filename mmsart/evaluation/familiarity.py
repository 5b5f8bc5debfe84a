"""Tell images unlike those that a model knows: too dark, too flat, cells of another size, unsure.

A model says nothing about the pictures that it was not made for. What it sees and what it finds
there does: its training images span ranges of brightness, contrast, cell size and score, and an
image outside them has to be looked at before its numbers are believed.
"""
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mmsart.structures.detections import Detections

MIN_CELLS = 10
"""Median areas and mean scores of fewer cells tell nothing."""

Traits = dict[str, float]
"""``brightness`` and ``contrast``, ``cells``, and ``area/CLASS`` and ``score/CLASS``."""

Reference = dict[str, list[float]]
"""Lowest and highest value of each trait among familiar images."""

BRIGHTNESS_SLACK = 30
"""Grey values. Training images may all have one mean, and a network hardly minds another: 25 more
or less left an earlier model four fifths or more of its cells on six development images, 60 less
took half of them (docs/prediction.md)."""

CONTRAST_SLACK = (2, 3)
"""Factors below and above the range: on the same images half the contrast took a tenth of the
cells, three times as much none. Images scaled by percentiles have about twice as much."""

_QUANTILES = (0.01, 0.99)


def image_traits(picture: np.ndarray, detections: Detections, classes: Sequence[str]) -> Traits:
    """Measure what tells familiar images from others.

    Args:
        picture: uint8 (h, w) grey or (h, w, 3), as the network sees it.
        detections: the final cells.
        classes: names in label order.

    Returns:
        ``brightness`` and ``contrast``, mean and standard deviation of the grey values; ``cells``,
        their number; for each class with at least :data:`MIN_CELLS` cells ``area/CLASS``, median
        in pixels, and ``score/CLASS``, mean.
    """
    grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    mean, deviation = cv2.meanStdDev(grey)  # numpy would hold eight bytes a pixel
    traits = dict(brightness=mean.item(), contrast=deviation.item(),
                  cells=float(len(detections)))
    areas = detections.masks.areas
    for label, name in enumerate(classes):
        chosen = detections.labels == label
        if chosen.sum() >= MIN_CELLS:
            traits[f'area/{name}'] = float(np.median(areas[chosen]))
            traits[f'score/{name}'] = float(detections.scores[chosen].mean())
    return traits


def find_reference(images: Iterable[Traits]) -> Reference:
    """Find the ranges that familiar images span: the percentiles 1 and 99 of each trait.

    Args:
        images: traits of images like those that the model was trained on. Scores are honest only
            on images that it was not trained on.

    Returns:
        The range of each trait, fit for JSON.
    """
    values: dict[str, list[float]] = {}
    for traits in images:
        for name, value in traits.items():
            values.setdefault(name, []).append(value)
    return {name: [float(f'{limit:.5g}') for limit in np.quantile(found, _QUANTILES)]
            for name, found in values.items()}


@dataclass(frozen=True)
class _Oddity:
    """How an image may differ from familiar ones, whatever its value.

    Attributes:
        words: what is said.
        trait: what the value is called; None where words say all.
        there: values of familiar images.
        digits: behind the point.
        unit: behind the value.
        advice: what follows from it.
    """

    words: str
    trait: str | None = None
    there: tuple[float, float] = (0, 0)
    digits: int = 0
    unit: str = ''
    advice: str = ''

    def line(self, values: Sequence[float]) -> str:
        if self.trait is None:
            return self.words
        here, there = self._span(values), self._span(self.there)
        return f'{self.words} ({self.trait}{here}{self.unit}, there {there}){self.advice}'

    def _span(self, values: Sequence[float]) -> str:
        ends = [f'{limit:.{self.digits}f}' for limit in (min(values), max(values))]
        return ' to '.join(dict.fromkeys(ends))


def describe_unlike(
        frames: Sequence[Traits], reference: Mapping[str, Sequence[float]]) -> list[str]:
    """Say in words how an image differs from familiar ones.

    A value has to lie well outside the range: brightness by :data:`BRIGHTNESS_SLACK`, contrast by
    :data:`CONTRAST_SLACK`, the median area by a quarter, the mean score by .05 (below alone: high
    scores are no warning). Fewer cells than :data:`MIN_CELLS` are told where familiar images have
    more, since nothing else speaks for them. A picture of one grey value is called that: it is
    neither dark nor bright, since scaling has nothing to go by.

    Args:
        frames: traits of the image, of a stack those of each frame.
        reference: ranges of :func:`find_reference`; a trait that it does not have is passed over.

    Returns:
        A line for each kind of difference, of a stack with the range of the values and the number
        of frames; empty for a familiar image.
    """
    found: dict[_Oddity, list[float]] = {}
    for traits in frames:
        for oddity, value in _oddities(traits, reference):
            found.setdefault(oddity, []).append(value)
    return [oddity.line(values)
            + (f' (in {len(values)} of {len(frames)} frames)' if len(frames) > 1 else '')
            for oddity, values in found.items()]


def _oddities(traits: Traits,
              reference: Mapping[str, Sequence[float]]) -> Iterator[tuple[_Oddity, float]]:
    """Find what is odd in one picture, with the value that is."""
    flat = traits.get('contrast') == 0
    if flat:
        yield _Oddity('no contrast: all pixels have one grey value'), 0
    for name, value in traits.items():
        if name not in reference or (flat and name in ('brightness', 'contrast')):
            continue
        low, high = reference[name]
        oddity = _judge(name, value, low, high)
        if oddity is not None:
            yield oddity, value


def _judge(name: str, value: float, low: float, high: float) -> _Oddity | None:
    """Say what is odd in the value of a trait; None if nothing is."""
    kind, _, cell_type = name.partition('/')
    there = (low, high)
    if kind == 'cells' and value == 0 < low:
        return _Oddity('no cells found')
    if kind == 'cells' and value < min(low, MIN_CELLS):
        return _Oddity('fewer cells than in the training images', '', there,
                       advice=': too few to tell by sizes and scores whether they are cells')
    if kind == 'brightness' and not low - BRIGHTNESS_SLACK <= value <= high + BRIGHTNESS_SLACK:
        return _Oddity(f'{"darker" if value < low else "brighter"} than the training images',
                       'mean grey value ', there)
    if kind == 'contrast' and not low / CONTRAST_SLACK[0] <= value <= high * CONTRAST_SLACK[1]:
        return _Oddity(f'{"less" if value < low else "more"} contrast than the training images',
                       'standard deviation ', there, digits=1)
    if kind == 'area' and not low / 1.25 <= value <= high * 1.25:
        return _Oddity(f'{cell_type} cells {"smaller" if value < low else "larger"} than in the '
                       'training images', 'median area ', there, unit=' px',
                       advice=': check the magnification')
    if kind == 'score' and value < low - 0.05:
        return _Oddity(f'scores of {cell_type} cells lower than on familiar images', 'mean ',
                       there, digits=2)
    return None

"""Tell images unlike those that a model knows: too dark, too flat, cells of another size, unsure.

A model says nothing about the pictures that it was not made for. What it sees and what it finds
there does: its training images span ranges of brightness, contrast, cell size and score, and an
image outside them has to be looked at before its numbers are believed.
"""
from collections.abc import Iterable, Mapping, Sequence

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


def describe_unlike(traits: Traits, reference: Mapping[str, Sequence[float]]) -> list[str]:
    """Say in words how an image differs from familiar ones.

    A value has to lie well outside the range: brightness by :data:`BRIGHTNESS_SLACK`, contrast by
    :data:`CONTRAST_SLACK`, the median area by a quarter, the mean score by .05 (below alone: high
    scores are no warning). Fewer cells than :data:`MIN_CELLS` are told where familiar images have
    more, since nothing else speaks for them. A picture of one grey value is called that: it is
    neither dark nor bright, since scaling has nothing to go by.

    Args:
        traits: of the image.
        reference: ranges of :func:`find_reference`; a trait that it does not have is passed over.

    Returns:
        A line for each trait outside its range; empty for a familiar image.
    """
    flat = traits.get('contrast') == 0
    lines = ['no contrast: all pixels have one grey value'] if flat else []
    for name, value in traits.items():
        if name not in reference or (flat and name in ('brightness', 'contrast')):
            continue
        low, high = reference[name]
        kind, _, cell_type = name.partition('/')
        if kind == 'cells':
            if value == 0 < low:
                lines.append('no cells found')
            elif value < min(low, MIN_CELLS):
                lines.append(f'fewer cells than in the training images ({value:.0f}, there '
                             f'{low:.0f} to {high:.0f}): too few to tell by sizes and scores '
                             'whether they are cells')
        elif kind == 'brightness' and not (
                low - BRIGHTNESS_SLACK <= value <= high + BRIGHTNESS_SLACK):
            lines.append(f'{"darker" if value < low else "brighter"} than the training images '
                         f'(mean grey value {value:.0f}, there {low:.0f} to {high:.0f})')
        elif kind == 'contrast' and not (
                low / CONTRAST_SLACK[0] <= value <= high * CONTRAST_SLACK[1]):
            lines.append(f'{"less" if value < low else "more"} contrast than the training images '
                         f'(standard deviation {value:.1f}, there {low:.1f} to {high:.1f})')
        elif kind == 'area' and not low / 1.25 <= value <= high * 1.25:
            lines.append(f'{cell_type} cells {"smaller" if value < low else "larger"} than in the '
                         f'training images (median area {value:.0f} px, there {low:.0f} to '
                         f'{high:.0f}): check the magnification')
        elif kind == 'score' and value < low - 0.05:
            lines.append(f'scores of {cell_type} cells lower than on familiar images '
                         f'(mean {value:.2f}, there {low:.2f} to {high:.2f})')
    return lines

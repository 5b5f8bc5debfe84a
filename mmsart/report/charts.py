"""Charts of the page: SVG images, each as a `data:` address."""
from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmsart.evaluation.error_counts import KINDS
from mmsart.evaluation.functional import IOU_THRS
from mmsart.evaluation.functional.error_kinds import GT_KINDS, PRED_KINDS
from mmsart.report.results import Results
from mmsart.report.truth import Comparison
from mmsart.visualization.error_bars import COLOURS

INK = '#808080'  # read on white and on black
KIND_COLOURS = dict(zip(KINDS, COLOURS, strict=True))
MANY_IMAGES = 40  # from here on a histogram takes the place of a bar an image

Colours = Sequence[tuple[int, int, int]]


def hex_colour(rgb: Sequence[int]) -> str:
    """Write a colour as CSS does."""
    return '#{:02x}{:02x}{:02x}'.format(*rgb)


def draw_counts(results: Results, colours: Colours) -> str:
    """Draw how many cells images have."""
    figure, axes = _figure()
    counts = np.array([[image.row[f'cells_{name}'] for name in results.classes]
                       for image in results.images]).reshape(-1, len(results.classes))
    if len(counts) <= MANY_IMAGES:
        bottom = np.zeros(len(counts))
        places = np.arange(1, len(counts) + 1)
        for colour, column in zip(colours, counts.T, strict=True):
            axes.bar(places, column, 0.8, bottom, color=hex_colour(colour))
            bottom += column
        axes.set(xlabel='image, in the order of the table', ylabel='cells')
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    else:
        axes.hist(counts.sum(axis=1), 30, color=INK)
        axes.set(xlabel='cells per image', ylabel='images')
    return _svg(figure)


def draw_areas(cells: pd.DataFrame, classes: Sequence[str], colours: Colours) -> str:
    """Draw the distribution of areas, of each class."""
    figure, axes = _figure()
    areas = cells['area_px'].clip(lower=1)
    if len(areas):
        bins = np.geomspace(areas.min() * 0.99, areas.max() * 1.01, 40)
        _draw_steps(axes, areas, cells['class'], bins, classes, colours)
    axes.set(xscale='log', xlabel='area, px', ylabel='cells')
    return _svg(figure)


def draw_scores(cells: pd.DataFrame, classes: Sequence[str], colours: Colours) -> str:
    """Draw the distribution of scores, of each class."""
    figure, axes = _figure()
    _draw_steps(axes, cells['score'], cells['class'], np.linspace(0, 1, 41), classes, colours)
    axes.set(xlim=(0, 1), xlabel='score', ylabel='cells')
    return _svg(figure)


def draw_count_against_count(pairs: Sequence[tuple[int, int, str]], colours: dict[str, str]) -> str:
    """Draw how many cells were found against how many there are.

    Args:
        pairs: true count, predicted count and type of each image.
        colours: of types.
    """
    figure, axes = _figure()
    for name in dict.fromkeys(name for _, _, name in pairs):
        points = np.array([(true, found) for true, found, kind in pairs if kind == name])
        axes.scatter(points[:, 0], points[:, 1], s=14, color=colours.get(name, INK), alpha=0.8,
                     linewidths=0)
    most = max(max(true, found) for true, found, _ in pairs) * 1.05 + 1
    axes.plot([0, most], [0, most], color=INK, linewidth=0.8)
    axes.set(xlim=(0, most), ylim=(0, most), xlabel='true cells', ylabel='cells found')
    return _svg(figure)


def draw_precision(table: dict[str, np.ndarray], colours: dict[str, str]) -> str:
    """Draw precision against the IoU threshold, of each type.

    Args:
        table: of :func:`~mmsart.report.truth.precision_table`.
        colours: of types.
    """
    figure, axes = _figure()
    for name, row in table.items():
        axes.plot(IOU_THRS, row[1:], color=colours.get(name, INK), marker='.')
    axes.set(ylim=(0, 1), xlabel='IoU threshold', ylabel='precision')
    return _svg(figure)


def count_kinds(comparisons: Sequence[Comparison]) -> dict[str, Counter]:
    """Count the kinds of errors, by type of image.

    Returns:
        For each type the true cells of each of `GT_KINDS`, and duplicate and spurious predictions.
    """
    counts: dict[str, Counter] = {}
    for each in comparisons:
        counter = counts.setdefault(each.truth.cell_type, Counter())
        counter.update(GT_KINDS[kind] for kind in each.kinds.gt)
        counter.update(PRED_KINDS[kind] for kind in each.kinds.pred
                       if PRED_KINDS[kind] in KIND_COLOURS)
    return dict(sorted(counts.items()))


def draw_kinds(counts: dict[str, Counter]) -> str:
    """Draw the kinds of errors as shares of the true cells, a bar per type."""
    figure, axes = _figure(height=0.9 + 0.42 * len(counts))
    names = list(counts)[::-1]
    true = np.array([max(sum(counts[name][kind] for kind in GT_KINDS), 1) for name in names])
    left = np.zeros(len(names))
    for kind, colour in KIND_COLOURS.items():
        share = np.array([counts[name][kind] for name in names]) / true * 100
        axes.barh(names, share, 0.65, left, color=colour)
        left += share
    axes.axvline(100, color=INK, linewidth=0.8)
    axes.set(xlabel='% of the true cells (what is right of 100 % was never there)')
    return _svg(figure)


def _figure(height: float = 2.6) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.6, height), layout='constrained')
    axes = figure.add_subplot()
    figure.patch.set_alpha(0)
    axes.patch.set_alpha(0)
    axes.spines[['top', 'right']].set_visible(False)
    axes.spines[['left', 'bottom']].set_color(INK)
    axes.tick_params(colors=INK, labelsize=8)
    axes.xaxis.label.set(color=INK, size=9)
    axes.yaxis.label.set(color=INK, size=9)
    return figure, axes


def _draw_steps(axes: Axes, values: pd.Series, names: pd.Series, bins: np.ndarray,
                classes: Sequence[str], colours: Colours) -> None:
    for name, colour in zip(classes, colours, strict=False):
        chosen = values[names == name]
        if len(chosen):
            edges, inside = hex_colour(colour), (*np.array(colour) / 255, 0.3)
            axes.hist(chosen, bins.tolist(), histtype='stepfilled', edgecolor=edges,
                      facecolor=inside)


def _svg(figure: Figure) -> str:
    """Render as the address of an image; the same figure gives the same characters."""
    out = io.BytesIO()
    with matplotlib.rc_context({'svg.fonttype': 'none', 'svg.hashsalt': 'mmsart'}):
        figure.savefig(out, format='svg', metadata=dict(Date=None, Creator=None))
    return 'data:image/svg+xml;base64,' + base64.b64encode(out.getvalue()).decode('ascii')

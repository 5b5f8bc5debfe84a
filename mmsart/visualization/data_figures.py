"""Figures of a data set: classes, cells per image, areas, samples with their masks."""
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmsart.datasets.image_file import read_grey
from mmsart.datasets.train_csv import TrainTable
from mmsart.structures.image_result import class_colours
from mmsart.utils import atomic_write
from mmsart.visualization.draw import draw_instances


def write_data_figures(table: TrainTable, image_folder: str | os.PathLike,
                       out: str | os.PathLike, samples: int = 2, seed: int = 0) -> list[Path]:
    """Write all figures of a data set as PNG files.

    Args:
        table: the annotations.
        image_folder: where the images are, ``<id>.png``.
        out: folder to write to; made if missing.
        samples: images of each class to draw with their masks.
        seed: of the choice of these images.

    Returns:
        The files, in the order class distribution, cells per image, areas, samples.

    Raises:
        MissingFileError: an image is missing.
        UserError: an image is unreadable or of another size than the table says.
    """
    figures = {
        'class_distribution': draw_class_distribution(table),
        'cells_per_image': draw_cell_counts(table),
        'areas': draw_areas(table),
        'samples': draw_samples(table, image_folder, samples, seed),
    }
    paths = []
    for name, figure in figures.items():
        paths.append(Path(out) / f'{name}.png')
        with atomic_write(paths[-1]) as temporary:
            figure.savefig(temporary, dpi=110)
    return paths


def draw_class_distribution(table: TrainTable) -> Figure:
    """Draw how many images and how many cells each class has.

    Args:
        table: the annotations.

    Returns:
        A figure of two bar charts.
    """
    figure = Figure(figsize=(8, 3.2), layout='constrained')
    axes = figure.subplots(1, 2)
    counts = np.diff(table.splits)
    of_class = {name: table.cell_types == name for name in table.classes}
    _bars(axes[0], {name: int(chosen.sum()) for name, chosen in of_class.items()}, 'images')
    _bars(axes[1], {name: int(counts[chosen].sum()) for name, chosen in of_class.items()}, 'cells')
    return figure


def _bars(ax: Axes, values: Mapping[str, int], title: str) -> None:
    bars = ax.bar(list(values), list(values.values()), color=_colours(len(values)))
    ax.bar_label(bars, [f'{value:,}' for value in values.values()])
    ax.set_title(title)
    ax.margins(y=0.15)
    ax.spines[['top', 'right']].set_visible(False)


def draw_cell_counts(table: TrainTable) -> Figure:
    """Draw how many cells the images of each class have.

    Args:
        table: the annotations.

    Returns:
        A figure of one histogram a class, mean and maximum in the titles.
    """
    counts = np.diff(table.splits)
    values = {name: counts[table.cell_types == name] for name in table.classes}
    return _histograms(values, 'cells in an image', 'images', log=False)


def draw_areas(table: TrainTable) -> Figure:
    """Draw how large the cells of each class are.

    Args:
        table: the annotations.

    Returns:
        A figure of one histogram a class over a logarithmic axis.
    """
    owner = np.repeat(table.cell_types, np.diff(table.splits))
    values = {name: table.areas[owner == name] for name in table.classes}
    return _histograms(values, 'area of a cell, pixels', 'cells', log=True)


def _histograms(values: Mapping[str, np.ndarray], xlabel: str, ylabel: str, log: bool) -> Figure:
    figure = Figure(figsize=(1 + 3 * len(values), 3), layout='constrained')
    axes = figure.subplots(1, len(values), squeeze=False)[0]
    for ax, (name, numbers), colour in zip(
            axes, values.items(), _colours(len(values)), strict=True):
        ax.set_xlabel(xlabel)
        ax.set_ylabel(ylabel)
        ax.spines[['top', 'right']].set_visible(False)
        if not len(numbers):
            ax.set_title(f'{name}: none')
            continue
        ax.set_title(f'{name}: mean {numbers.mean():.1f}, max {numbers.max()}', fontsize=10)
        if log:
            bins = np.geomspace(numbers.min(), numbers.max() + 1, 31)
            ax.set_xscale('log')
        else:
            bins = np.linspace(0, numbers.max() + 1, 31)
        ax.hist(numbers, bins=bins, color=colour)
    return figure


def draw_samples(table: TrainTable, image_folder: str | os.PathLike, samples: int = 2,
                 seed: int = 0) -> Figure:
    """Draw images beside the same images with their masks, each instance in its own colour.

    Args:
        table: the annotations.
        image_folder: where the images are, ``<id>.png``.
        samples: images of each class, fewer where there are not as many.
        seed: of their choice.

    Returns:
        A figure, one row per image.

    Raises:
        MissingFileError: an image is missing.
        UserError: an image is unreadable or of another size than the table says.
    """
    rng = np.random.default_rng(seed)
    chosen: list[int] = []
    for name in table.classes:
        of_class = np.flatnonzero(table.cell_types == name)
        chosen += sorted(rng.permutation(of_class)[:samples].tolist())
    figure = Figure(figsize=(14, 5.4 * max(len(chosen), 1)), layout='constrained')
    axes = figure.subplots(max(len(chosen), 1), 2, squeeze=False)
    for (left, right), image in zip(axes, chosen, strict=False):
        grey = _read_grey(table, image, Path(image_folder))
        masks = table.masks(image)
        left.imshow(grey, cmap='gray', vmin=0, vmax=255)
        left.set_title(f'{table.image_ids[image]}: {table.cell_types[image]}')
        right.imshow(draw_instances(grey, masks, scale=2, fill=0.2))
        right.set_title(f'{len(masks)} cells')
    for ax in axes.ravel():
        ax.set_axis_off()
    return figure


def _colours(number: int) -> list[tuple[float, ...]]:
    return [tuple(value / 255 for value in colour) for colour in class_colours(number)]


def _read_grey(table: TrainTable, image: int, folder: Path) -> np.ndarray:
    height, width = table.sizes[image].tolist()
    return read_grey(folder / f'{table.image_ids[image]}.png', (height, width))

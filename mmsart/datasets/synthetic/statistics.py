"""Figures by which generated images are held against real ones."""
import os
from pathlib import Path

import numpy as np

from mmsart.datasets.image_file import read_grey
from mmsart.datasets.train_csv import TrainTable, read_train_csv
from mmsart.utils.errors import UserError, raise_all

PERIODS = (32, 16, 8, 4, 2.7)
"""Periods in pixels at which the power spectrum is given."""


def image_statistics(image: np.ndarray) -> dict[str, float]:
    """Measure the grey values and the texture of an image.

    Args:
        image: uint8 (h, w), at least 64 x 64.

    Returns:
        ``std`` and percentiles ``p1``, ``p25``, ``p75``, ``p99`` in grey levels, and
        ``log10 power`` at each of :data:`PERIODS`: mean power over the directions, of the largest
        central square under a Hann window.
    """
    grey = image.astype(np.float64)
    result = {'std': float(grey.std())}
    for name, value in zip(('p1', 'p25', 'p75', 'p99'), np.percentile(grey, (1, 25, 75, 99)),
                           strict=True):
        result[name] = float(value)
    side = min(grey.shape)
    top, left = (grey.shape[0] - side) // 2, (grey.shape[1] - side) // 2
    square = grey[top:top + side, left:left + side]
    window = np.outer(np.hanning(side), np.hanning(side))
    power = np.abs(np.fft.fft2((square - square.mean()) * window)) ** 2 / (window ** 2).sum()
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    for period in PERIODS:
        ring = np.abs(frequency - 1 / period) < 1 / side
        result[f'log10 power at {period} px'] = float(np.log10(power[ring].mean() + 1e-9))
    return result


def cell_statistics(table: TrainTable, image: int) -> dict[str, float]:
    """Measure the cells of an image.

    Args:
        table: the annotations.
        image: index of the image.

    Returns:
        ``cells``; mean ``area`` in pixels; ``fill``, mean share of its box that a cell fills; and
        ``shared``, pixels of two cells or more as a share of all cells' pixels.
    """
    rows = table.instances(image)
    runs = table.runs(image)
    height, width = table.sizes[image].tolist()
    edges = np.zeros(height * width + 1, np.int64)
    np.add.at(edges, runs.starts, 1)
    np.add.at(edges, runs.starts + runs.lengths, -1)
    layers = np.cumsum(edges)
    boxes, areas = table.bboxes[rows], table.areas[rows]
    sides = boxes[:, 2:] - boxes[:, :2]
    return dict(cells=float(len(areas)), area=float(areas.mean()),
                fill=float((areas / sides.prod(1)).mean()),
                shared=float((layers > 1).sum() / (layers > 0).sum()))


def data_statistics(root: str | os.PathLike, limit: int = 40) -> dict[str, dict[str, float]]:
    """Average the figures over the images of each class.

    Args:
        root: folder with ``train.csv`` and ``train/``.
        limit: most images of a class, evenly chosen from the table.

    Returns:
        For each class that has images the means, ``images`` being their number.

    Raises:
        UserError: the table or an image cannot be read.
    """
    table = read_train_csv(Path(root) / 'train.csv', None)
    result, errors = {}, []
    for name in table.classes:
        images = np.flatnonzero((table.cell_types == name) & (np.diff(table.splits) > 0))
        if not len(images):
            continue
        images = images[np.unique(np.linspace(0, len(images) - 1, limit).astype(int))]
        figures = []
        for image in images.tolist():
            path = Path(root) / 'train' / f'{table.image_ids[image]}.png'
            try:
                grey = read_grey(path)
            except UserError as error:
                errors.append(error)
                continue
            figures.append({**cell_statistics(table, image), **image_statistics(grey)})
        if errors:
            continue
        means = {key: float(np.mean([each[key] for each in figures])) for key in figures[0]}
        result[name] = dict(images=float(len(images)), **means)
    raise_all(errors)
    return result

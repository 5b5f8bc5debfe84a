"""From the grey values of a camera to the 8 bits that the network knows."""
from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np

from mmsart.utils.errors import UserError

PERCENTILES = (0.1, 99.9)
MAX_VALUES = 1 << 24  # of 32 bits and more: enough for .1 percent to be 16,777 values
CHUNK_ROWS = 256

Normalize = Literal['none'] | tuple[float, float] | None
"""How to scale: None for percentiles of deep images, ``'none'``, or the values that become 0 and
255."""


@dataclass(frozen=True)
class Normalization:
    """The grey values that become 0 and 255; those beyond are clipped.

    Attributes:
        low: becomes 0.
        high: becomes 255.
        source: ``'8 bits'``, ``'percentiles'``, ``'option'`` or ``'none'``.
    """

    low: float
    high: float
    source: str

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Scale grey values.

        Args:
            values: of any shape and numeric dtype; NaN becomes 0, an infinite value the end beyond
                which it lies.

        Returns:
            uint8 of the same shape.
        """
        if values.dtype == np.uint8 and (self.low, self.high) == (0, 255):
            return values
        table = None
        if values.dtype.kind in 'ui' and values.dtype.itemsize <= 2:  # every value once
            limits = np.iinfo(values.dtype)
            table = self._scale(np.arange(limits.min, limits.max + 1))
        scaled = np.empty(values.shape, np.uint8)
        for begin in range(0, len(values), CHUNK_ROWS):  # wide numbers for a few rows at a time
            rows = slice(begin, begin + CHUNK_ROWS)
            scaled[rows] = (self._scale(values[rows]) if table is None
                            else table[values[rows].astype(np.intp) - limits.min])
        return scaled

    def _scale(self, values: np.ndarray) -> np.ndarray:
        finite = np.nan_to_num(values.astype(np.float64), nan=self.low)
        span = self.high - self.low
        within = np.clip(finite, self.low, self.high) - self.low
        return np.rint(within / span * 255 if span > 0 else within).astype(np.uint8)

    def __str__(self) -> str:
        return f'grey values {self.low:g} to {self.high:g} as 0 to 255 ({self.source})'


def check_normalize(normalize: Normalize) -> None:
    """Refuse limits between which there is no grey value.

    Args:
        normalize: as a user gives it.

    Raises:
        UserError: it is nothing of the kind, or the limits are not in order, or not finite.
    """
    if normalize is None or normalize == 'none':
        return
    limits: list[Any] = list(normalize) if isinstance(normalize, Sequence) else []
    if len(limits) != 2 or not all(isinstance(limit, Real) for limit in limits):
        raise UserError(f'--normalize: found {normalize!r}, expected two numbers LO HI or none')
    low, high = map(float, limits)
    if not -math.inf < low < high < math.inf:  # false for NaN too
        raise UserError(f'--normalize: found {low:g} {high:g}, expected numbers LO below HI')


def find_normalization(
        name: str, dtype: np.dtype, planes: Iterable[np.ndarray], count: int,
        normalize: Normalize = None) -> Normalization:
    """Choose how the grey values of a series are scaled.

    Args:
        name: of the file, for messages.
        dtype: of the planes.
        planes: each plane of the series; gone through only where their values decide.
        count: how many values they hold together.
        normalize: see :data:`Normalize`.

    Returns:
        8 bits as they are; deeper ones by the 0.1 and 99.9 percentile of the whole series, or by
        minimum and maximum where all but a few values are the same. Of 32 bits and more, at most
        16.8 million values are looked at for percentiles, evenly spread.

    Raises:
        UserError: limits that are not in order, values that do not fit 8 bits with ``'none'``,
            or not one value that is finite.
    """
    check_normalize(normalize)
    if isinstance(normalize, Sequence) and not isinstance(normalize, str):
        low, high = (float(limit) for limit in normalize)
        return Normalization(low, high, 'option')
    if dtype == np.uint8:
        return Normalization(0, 255, '8 bits')
    if normalize == 'none':
        for plane in planes:
            low, high = plane.min(), plane.max()
            if not (low >= 0 and high <= 255):
                raise UserError(f'{name}: found grey values of {low:g} to {high:g}, expected 0 to '
                                '255 with --normalize none, or --normalize LO HI')
        return Normalization(0, 255, 'none')
    low, high, *extremes = (
        _integer_percentiles(planes) if dtype.kind in 'ui' and dtype.itemsize <= 2
        else _sampled_percentiles(name, planes, count))
    if low == high and extremes[0] < extremes[1]:  # such as a few cells in the dark
        return Normalization(extremes[0], extremes[1], 'minimum and maximum')
    return Normalization(low, high, 'percentiles {:g} and {:g}'.format(*PERCENTILES))


def _integer_percentiles(planes: Iterable[np.ndarray]) -> list[float]:
    """Compute numpy's percentiles from a histogram, a plane in memory at a time.

    Returns:
        The percentiles, the smallest value and the largest.
    """
    counts, offset = np.zeros(1 << 16, np.int64), 0
    for plane in planes:
        offset = int(np.iinfo(plane.dtype).min)
        for begin in range(0, len(plane), CHUNK_ROWS):
            values = plane[begin:begin + CHUNK_ROWS].ravel().astype(np.intp) - offset
            counts += np.bincount(values, minlength=len(counts))
    ends = np.cumsum(counts)
    found = []
    for percentile in PERCENTILES:
        rank = percentile / 100 * (ends[-1] - 1)
        below, above = np.searchsorted(ends, [np.floor(rank), np.ceil(rank)], side='right')
        found.append(float(below + (above - below) * (rank % 1) + offset))
    return [*found, *(float(value + offset) for value in np.flatnonzero(counts)[[0, -1]])]


def _sampled_percentiles(name: str, planes: Iterable[np.ndarray], count: int) -> list[float]:
    """Compute numpy's percentiles of values at equal distances.

    Returns:
        The percentiles, the smallest value of all and the largest.
    """
    step = -(-count // MAX_VALUES)
    samples, low, high = [], math.inf, -math.inf
    for plane in planes:
        samples.append(plane.ravel()[::step].copy())  # a view would keep the plane
        for begin in range(0, len(plane), CHUNK_ROWS):
            rows = plane[begin:begin + CHUNK_ROWS]
            if rows.dtype.kind == 'f' and not np.isfinite([rows.min(), rows.max()]).all():
                rows = rows[np.isfinite(rows)]
            if rows.size:
                low, high = min(low, float(rows.min())), max(high, float(rows.max()))
    values = np.concatenate(samples).astype(np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        raise UserError(f'{name}: found no grey value that is finite, expected some')
    return [*np.percentile(values, PERCENTILES).tolist(), low, high]

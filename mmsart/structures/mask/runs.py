"""Runs of pixels: many masks as flat arrays, checked, measured and joined without decoding."""
from dataclasses import dataclass

import numpy as np

from mmsart.structures.mask.ragged import exclusive_cumsum
from mmsart.utils.errors import UserError


@dataclass(frozen=True)
class Runs:
    """The runs of many masks, one mask after another.

    Attributes:
        starts: int64 (R,), first pixel of each run as a 0-based row-major index.
        lengths: int64 (R,), pixels in each run, >= 1.
        splits: int64 (N + 1,), runs of mask i are ``splits[i]:splits[i + 1]``.
    """

    starts: np.ndarray
    lengths: np.ndarray
    splits: np.ndarray

    def __len__(self) -> int:
        return len(self.splits) - 1

    @property
    def areas(self) -> np.ndarray:
        """int64 (N,): pixels of each mask."""
        sums = exclusive_cumsum(self.lengths)
        return np.diff(sums[self.splits])

    @property
    def owners(self) -> np.ndarray:
        """int64 (R,): the mask of each run."""
        return np.repeat(np.arange(len(self)), np.diff(self.splits))

    def select(self, indices: np.ndarray) -> 'Runs':
        """Take some of the masks.

        Args:
            indices: int (M,), masks in the wanted order.

        Returns:
            The runs of these M masks.
        """
        counts = np.diff(self.splits)[indices]
        splits = exclusive_cumsum(counts)
        take = np.repeat(self.splits[:-1][indices] - splits[:-1], counts) + np.arange(splits[-1])
        return Runs(self.starts[take], self.lengths[take], splits)


class BadRleError(UserError):
    """A run-length code that cannot be what it should be.

    Attributes:
        index: which of the masks, from 0.
        problem: what was found and what was expected.
    """

    def __init__(self, index: int, problem: str) -> None:
        super().__init__(f'mask {index}: {problem}')
        self.index = index
        self.problem = problem


def find_bad_runs(runs: Runs, num_pixels: np.ndarray | int) -> BadRleError | None:
    """Look for the first mask whose runs no image could have.

    Args:
        runs: the masks.
        num_pixels: height times width of each mask's image, int or int64 (N,).

    Returns:
        None where every run has a positive length, starts at 1 or later, ends inside the image,
        and follows the one before it without overlap; else what is wrong with the first mask
        where this fails.
    """
    starts, lengths = runs.starts, runs.lengths
    owner = runs.owners
    limit = np.broadcast_to(num_pixels, len(runs))[owner]
    overlaps = np.zeros(len(starts), bool)
    overlaps[1:] = (owner[1:] == owner[:-1]) & (np.diff(starts) < lengths[:-1])
    problems = (
        (lengths < 1, 'run length {length}, expected at least 1'),
        (starts < 0, 'run start {start}, expected at least 1'),
        (lengths > limit - starts,  # a sum of two large numbers could pass the end of int64
         'run {start} {length} ends past the image of {limit} pixels, expected an end of at most '
         '{limit}'),
        (overlaps,
         'run {start} {length} begins before the end of the run before it, '
         'expected sorted runs that do not overlap'),
    )
    bad = np.logical_or.reduce([wrong for wrong, _ in problems])
    if not bad.any():
        return None
    at = int(np.argmax(bad))
    message = next(text for wrong, text in problems if wrong[at])
    return BadRleError(int(owner[at]), message.format(
        start=starts[at] + 1, length=lengths[at], limit=limit[at]))


def run_boxes(runs: Runs, widths: np.ndarray | int) -> tuple[np.ndarray, np.ndarray]:
    """Compute boxes and areas of masks from their runs, without decoding them.

    Args:
        runs: the masks.
        widths: image width of each mask in pixels, int or int64 (N,).

    Returns:
        Half-open boxes xyxy in pixels, int64 (N, 4), all zero for an empty mask; and areas in
        pixels, int64 (N,).
    """
    counts = np.diff(runs.splits)
    boxes = np.zeros((len(runs), 4), np.int64)
    areas = np.zeros(len(runs), np.int64)
    filled = counts > 0
    if not filled.any():
        return boxes, areas
    width = np.repeat(np.broadcast_to(widths, len(runs)), counts)
    top, left = np.divmod(runs.starts, width)
    bottom, right = np.divmod(runs.starts + runs.lengths - 1, width)
    wraps = top != bottom  # such a run touches the right border and, one row on, the left one
    left = np.where(wraps, 0, left)
    right = np.where(wraps, width - 1, right)
    first = runs.splits[:-1][filled]
    boxes[filled] = np.stack([
        np.minimum.reduceat(left, first),
        np.minimum.reduceat(top, first),
        np.maximum.reduceat(right, first) + 1,
        np.maximum.reduceat(bottom, first) + 1,
    ], axis=1)
    areas[filled] = np.add.reduceat(runs.lengths, first)
    return boxes, areas


def join_touching(runs: Runs) -> Runs:
    """Join runs of one mask that have no pixel between them.

    Args:
        runs: masks, their runs sorted and without overlap.

    Returns:
        The same masks in as few runs as can be.
    """
    starts, lengths, splits = runs.starts, runs.lengths, runs.splits
    new = np.ones(len(starts), bool)
    new[1:] = starts[1:] != (starts + lengths)[:-1]
    new[splits[:-1][np.diff(splits) > 0]] = True
    if new.all():
        return runs
    first = np.flatnonzero(new)
    return Runs(starts[first], np.add.reduceat(lengths, first), exclusive_cumsum(new)[splits])

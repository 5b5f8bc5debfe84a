"""Run-length codes: Kaggle's text, arrays of runs, and COCO's compressed form.

Kaggle writes a mask as text, ``start length`` pairs over the image in row-major order with starts
from 1. COCO counts zeros and ones in turn in column-major order. A row-major code of an (h, w)
image is therefore the column-major code of its transpose: Kaggle's runs become COCO's without
decoding a pixel, and areas, intersections and unions stay what they are. Every COCO code in this
package is of that kind, with ``size == [w, h]``, and is called *transposed COCO RLE*.
"""
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mmsart.structures.mask.coco_counts import decode_counts, encode_counts, exclusive_cumsum
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

    def select(self, indices: np.ndarray) -> 'Runs':
        """Take some of the masks.

        Args:
            indices: int (M,), masks in the wanted order.

        Returns:
            The runs of these M masks.
        """
        counts = np.diff(self.splits)[indices]
        splits = np.concatenate([[0], np.cumsum(counts)])
        take = np.repeat(self.splits[:-1][indices] - splits[:-1], counts) + np.arange(splits[-1])
        return Runs(self.starts[take], self.lengths[take], splits)


def parse_rle(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Read one mask in Kaggle's run-length code.

    Args:
        text: ``start length`` pairs, starts from 1; the empty string is the empty mask.

    Returns:
        Starts from 0 and lengths, both int64 (R,).

    Raises:
        BadRleError: the text holds something else than whole numbers of at most 10 digits, or an
            odd count of them.

    Example:
        >>> parse_rle('1 3 10 2')
        (array([0, 9]), array([3, 2]))
    """
    runs = parse_rles([text])
    return runs.starts, runs.lengths


def parse_rles(texts: Sequence[str]) -> Runs:
    """Read many masks in Kaggle's run-length code in one go.

    Args:
        texts: one string of ``start length`` pairs a mask.

    Returns:
        Their runs. Nothing but the syntax is checked; see :func:`find_bad_runs`.

    Raises:
        BadRleError: a text is malformed; its ``index`` tells which.
    """
    joined = ' '.join(texts)
    strange = not joined.isascii() or joined.encode().translate(None, b'0123456789 -\t')
    if strange or _has_digitless_minus(joined):
        raise _first_bad_text(texts)
    values = np.fromstring(joined, dtype=np.int64, sep=' ') if joined.strip() else _NO_VALUES
    counts = np.fromiter((len(text.split()) for text in texts), np.int64, len(texts))
    if counts.sum() != len(values) or (counts % 2).any():
        raise _first_bad_text(texts)
    # fromstring gives the greatest int64 for a number beyond it, so none slips through here
    if len(values) and not -_TOO_LONG < values.min() <= values.max() < _TOO_LONG:
        raise _first_bad_text(texts)
    pairs = values.reshape(-1, 2)
    splits = np.concatenate([[0], np.cumsum(counts // 2)])
    return Runs(pairs[:, 0] - 1, pairs[:, 1].copy(), splits)


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
    owner = np.repeat(np.arange(len(runs)), np.diff(runs.splits))
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


def runs_to_text(starts: np.ndarray, lengths: np.ndarray) -> str:
    """Write runs in Kaggle's code.

    Args:
        starts: int (R,), 0-based row-major starts.
        lengths: int (R,), lengths >= 1.

    Returns:
        ``start length`` pairs with starts from 1; the empty string for no run.
    """
    pairs = np.stack([np.asarray(starts) + 1, np.asarray(lengths)], axis=1)
    return ' '.join(map(str, pairs.ravel().tolist()))


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


def runs_to_coco(runs: Runs, height: int, width: int) -> list[dict[str, Any]]:
    """Turn runs into transposed COCO RLE.

    Args:
        runs: masks of one image, sorted and without overlap (see :func:`find_bad_runs`).
        height: image height in pixels.
        width: image width in pixels.

    Returns:
        One dict a mask, ``size`` [width, height] and ``counts`` as bytes, as pycocotools takes it.
    """
    runs = join_touching(runs)
    numbers = np.diff(runs.splits)
    counts_of_mask = exclusive_cumsum(2 * numbers + 1)  # zeros and ones in turn, and zeros again
    owner = np.repeat(np.arange(len(runs)), numbers)
    at = 2 * np.arange(len(owner)) + owner
    ends = runs.starts + runs.lengths
    counts = np.zeros(counts_of_mask[-1], np.int64)
    counts[at] = runs.starts
    counts[at + 1] = runs.lengths
    counts[counts_of_mask[1:] - 1] = height * width
    counts[at + 2] -= ends  # the zeros behind a run end where the next one, or the image, does
    kept = np.ones(len(counts), bool)
    kept[counts_of_mask[1:] - 1] = (counts[counts_of_mask[1:] - 1] > 0) | (numbers == 0)
    splits = exclusive_cumsum(kept)[counts_of_mask]
    size = [width, height]
    return [{'size': size.copy(), 'counts': code} for code in encode_counts(counts[kept], splits)]


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


def kaggle_to_coco(text: str, size: tuple[int, int]) -> dict[str, Any]:
    """Turn Kaggle's code of a mask into transposed COCO RLE.

    Args:
        text: ``start length`` pairs, row-major, starts from 1.
        size: (h, w) of the image in pixels.

    Returns:
        ``size`` [w, h] and ``counts`` as bytes.

    Raises:
        BadRleError: the text is malformed or does not fit the image.
    """
    height, width = size
    runs = parse_rles([text])
    problem = find_bad_runs(runs, height * width)
    if problem is not None:
        raise problem
    return runs_to_coco(runs, height, width)[0]


def coco_to_runs(rle: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Read the runs of a transposed COCO RLE.

    Args:
        rle: ``size`` [w, h] and ``counts`` as bytes or ASCII text.

    Returns:
        0-based row-major starts and lengths, both int64 (R,).
    """
    code = rle['counts'].encode() if isinstance(rle['counts'], str) else rle['counts']
    counts, _ = decode_counts([code])
    ends = np.cumsum(counts)
    lengths = counts[1::2]
    starts = ends[0::2][:len(lengths)]
    keep = lengths > 0
    return starts[keep], lengths[keep]


def coco_to_kaggle(rle: dict[str, Any]) -> str:
    """Write a transposed COCO RLE in Kaggle's code.

    Args:
        rle: ``size`` [w, h] and ``counts`` as bytes or ASCII text.

    Returns:
        ``start length`` pairs with starts from 1; the empty string for an empty mask.
    """
    return runs_to_text(*coco_to_runs(rle))


def bitmap_to_kaggle(mask: np.ndarray) -> str:
    """Write a bitmap in Kaggle's code.

    Args:
        mask: (h, w), any dtype, non-zero inside.

    Returns:
        ``start length`` pairs with starts from 1; the empty string for an empty mask.

    Example:
        >>> bitmap_to_kaggle(np.array([[0, 1, 1], [1, 0, 0]]))
        '2 3'
    """
    flat = np.concatenate([[False], np.asarray(mask).ravel() != 0, [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return runs_to_text(edges[::2], edges[1::2] - edges[::2])


def kaggle_to_bitmap(text: str, size: tuple[int, int]) -> np.ndarray:
    """Paint one mask over the whole image: for pictures and tests.

    Args:
        text: ``start length`` pairs, row-major, starts from 1.
        size: (h, w) of the image in pixels.

    Returns:
        uint8 (h, w), 0 and 1.

    Raises:
        BadRleError: the text is malformed or does not fit the image.
    """
    return np.ascontiguousarray(coco_mask.decode(kaggle_to_coco(text, size)).T)


_NO_VALUES = np.empty(0, np.int64)
_TOO_LONG = 10**10  # more than any image has pixels, and far from where int64 ends


def _has_digitless_minus(text: str) -> bool:
    """Tell whether a minus stands where no number begins."""
    if '-' not in text:
        return False
    return any(not word.lstrip('-').isdigit() or word.rfind('-') > 0
               for word in text.split() if '-' in word)


def _first_bad_text(texts: Sequence[str]) -> BadRleError:
    """Name the first text that is no list of pairs of whole numbers."""
    for index, text in enumerate(texts):
        words = text.split()
        for word in words:
            if re.fullmatch('-?0*[1-9][0-9]{10,}', word):
                return BadRleError(
                    index, f'found {word[:40]}, expected numbers of at most 10 digits')
            try:
                value = int(word)
            except ValueError:
                value = None
            if value is None or not word.isascii() or '_' in word or '+' in word:
                return BadRleError(index, f'found {word[:40]!r}, expected whole numbers')
        if len(words) % 2:
            return BadRleError(
                index, f'{len(words)} run values, expected an even number (start length pairs)')
    return BadRleError(0, 'white space other than blanks, expected numbers separated by blanks')

"""COCO's compressed counts, for many masks in one go.

A mask is a list of counts, zeros and ones in turn, zeros first. From the fourth count on the
difference to the one two places before is written. A number takes as many characters as it needs,
lowest five bits first; a sixth bit tells that more follow, and 48 is added to make it printable.
Source: rleToString and rleFrString in the COCO API's maskApi.c.
"""
import itertools
from collections.abc import Sequence

import numpy as np

from mmsart.structures.mask.ragged import exclusive_cumsum, ragged_arange


def encode_counts(counts: np.ndarray, splits: np.ndarray) -> list[bytes]:
    """Compress the counts of many masks.

    Args:
        counts: int64 (K,), counts of mask after mask.
        splits: int64 (N + 1,), those of mask i are ``counts[splits[i]:splits[i + 1]]``.

    Returns:
        One code a mask, the same as pycocotools'.

    Example:
        >>> encode_counts(np.array([6, 1, 40, 4, 13]), np.array([0, 5]))
        [b'61X13U']
    """
    values = counts.copy()
    later = np.flatnonzero(ragged_arange(np.diff(splits)) > 2)
    values[later] -= counts[later - 2]
    magnitude = np.where(values < 0, ~values, values)
    sizes = np.ones(len(values), np.int64)
    for bits in range(4, 64, 5):  # the highest of a character's five bits is the sign
        larger = magnitude >> bits > 0
        if not larger.any():
            break
        sizes += larger
    place = ragged_arange(sizes)
    coded = (np.repeat(values, sizes) >> (5 * place)) & 31
    coded += 48 + 32 * (place < np.repeat(sizes - 1, sizes))
    text = coded.astype(np.uint8).tobytes()
    ends = exclusive_cumsum(sizes)[splits].tolist()
    return [text[begin:end] for begin, end in itertools.pairwise(ends)]


def decode_counts(codes: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Undo `encode_counts`.

    Args:
        codes: one per mask.

    Returns:
        Counts int64 (K,) and splits int64 (N + 1,).
    """
    raw = np.frombuffer(b''.join(codes), np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero((raw & 32) == 0) + 1
    lengths = exclusive_cumsum(np.array([len(code) for code in codes], np.int64))
    splits = np.searchsorted(ends, lengths, side='right')
    if not len(ends):
        return np.empty(0, np.int64), splits
    begins = np.concatenate([[0], ends[:-1]])
    sizes = ends - begins
    values = np.add.reduceat((raw & 31) << (5 * ragged_arange(sizes)), begins)
    values -= ((raw[ends - 1] & 16) != 0) * (np.int64(1) << (5 * sizes))
    return _undo_differences(values, splits), splits


def _undo_differences(values: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Add to each count from a mask's fourth on the one two places before it."""
    place = ragged_arange(np.diff(splits))
    counts = values.copy()
    for parity in (0, 1):
        chosen = np.flatnonzero((place % 2 == parity) & (place > 0))
        sums = exclusive_cumsum(values[chosen])
        first = place[chosen] <= 2  # of its mask; the sum so far is that of the masks before
        counts[chosen] = sums[1:] - sums[:-1][first][np.cumsum(first) - 1]
    return counts

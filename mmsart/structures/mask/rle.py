"""Run-length codes: Kaggle's text and COCO's compressed form, to runs and back.

Kaggle writes a mask as text, ``start length`` pairs over the image in row-major order with starts
from 1. COCO counts zeros and ones in turn in column-major order. A row-major code of an (h, w)
image is therefore the column-major code of its transpose: Kaggle's runs become COCO's without
decoding a pixel, and areas, intersections and unions stay what they are. Every COCO code in this
module is of that kind, with ``size == [w, h]``, and is called *transposed COCO RLE*.
"""
import itertools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mmsart.structures.mask.coco_counts import decode_counts, encode_counts
from mmsart.structures.mask.ragged import exclusive_cumsum, ragged_arange
from mmsart.structures.mask.runs import BadRleError, Runs, find_bad_runs, join_touching


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
    return Runs(pairs[:, 0] - 1, pairs[:, 1].copy(), exclusive_cumsum(counts // 2))


def find_bad_texts(texts: Sequence[str], num_pixels: np.ndarray) -> list[BadRleError]:
    """Name every text that is no mask of its image, one by one.

    Args:
        texts: masks in Kaggle's run-length code.
        num_pixels: height times width of each mask's image, int (N,).

    Returns:
        What is wrong with each of them, in their order; see :func:`parse_rles` and
        :func:`find_bad_runs`.
    """
    found = []
    for index, (text, limit) in enumerate(zip(texts, num_pixels.tolist(), strict=True)):
        try:
            bad = find_bad_runs(parse_rles([text]), limit)
        except BadRleError as error:
            bad = error
        if bad is not None:
            found.append(BadRleError(index, bad.problem))
    return found


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


def runs_to_texts(runs: Runs) -> list[str]:
    """Write many masks in Kaggle's code, one text per mask; see :func:`runs_to_text`."""
    return [
        runs_to_text(runs.starts[begin:end], runs.lengths[begin:end])
        for begin, end in itertools.pairwise(runs.splits.tolist())]


def runs_to_coco(runs: Runs, height: int, width: int) -> list[dict[str, Any]]:
    """Turn runs into transposed COCO RLE.

    Args:
        runs: masks of one image, sorted and without overlap (see :func:`find_bad_runs`).
        height: image height in pixels.
        width: image width in pixels.

    Returns:
        One dict per mask, ``size`` [width, height] and ``counts`` as bytes, for pycocotools.
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


def decode_rles(rles: Sequence[dict[str, Any]]) -> Runs:
    """Read the runs of many compressed COCO RLEs in one go.

    Args:
        rles: ``counts`` as bytes or ASCII text.

    Returns:
        The runs of all masks, pixels counted in the order of the code.
    """
    counts, splits = decode_counts([
        rle['counts'].encode() if isinstance(rle['counts'], str) else rle['counts']
        for rle in rles])
    numbers = np.diff(splits)
    owner = np.repeat(np.arange(len(numbers)), numbers)
    ones = np.flatnonzero((ragged_arange(numbers) % 2 == 1) & (counts > 0))
    sums = exclusive_cumsum(counts)
    starts = sums[ones] - sums[splits[owner[ones]]]
    kept = exclusive_cumsum(np.bincount(owner[ones], minlength=len(numbers)))
    return Runs(starts, counts[ones], kept)


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
    runs = parse_rles([text])
    problem = find_bad_runs(runs, size[0] * size[1])
    if problem is not None:
        raise problem
    return np.ascontiguousarray(coco_mask.decode(runs_to_coco(runs, *size)[0]).T)


_BLANKS = ' \t'
_NO_VALUES = np.empty(0, np.int64)
_TOO_LONG = 10**10  # more than any image has pixels, and far from where int64 ends


def _has_digitless_minus(text: str) -> bool:
    """Return whether a minus stands where no number begins."""
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
        strange = next((char for char in text if char.isspace() and char not in _BLANKS), None)
        if strange is not None:
            return BadRleError(
                index, f'found the character {strange!r}, expected numbers separated by spaces')
        if len(words) % 2:
            return BadRleError(
                index, f'{len(words)} run values, expected an even number (start length pairs)')
    raise AssertionError('expected a text that is no list of pairs of whole numbers')

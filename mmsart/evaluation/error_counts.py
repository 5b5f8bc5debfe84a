"""How many objects of which kind of error, by cell type and size."""
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from mmsart.evaluation.functional.error_kinds import GT_KINDS, PRED_KINDS, find_error_kinds
from mmsart.postprocessing import PostProcessor
from mmsart.structures.mask.intersections import run_intersections
from mmsart.structures.predictions import Predictions

MIXED = 'mixed'
KINDS = (*GT_KINDS, 'duplicate', 'spurious')
Counts = dict[str, dict[str, Counter]]


def bin_names(borders: Sequence[int]) -> list[str]:
    """Name the size bins: under the first border, between borders, from the last one on."""
    between = [f'{low}-{high} px' for low, high in pairwise(borders)]
    return [f'< {borders[0]} px', *between, f'>= {borders[-1]} px']


def count_kinds(
        raws: Sequence[Predictions], process: PostProcessor, borders: Sequence[int]) -> Counts:
    """Count the kinds of all images by cell type and size bin.

    True objects fall into bins by their own area, duplicates and spurious predictions by theirs.

    Args:
        raws: predictions with truth.
        process: the post-processing.
        borders: rising areas in pixels.

    Returns:
        Counts by cell type, size bin and kind. Images that show several types go under
        :data:`MIXED`; there no type is wrong.
    """
    names = bin_names(borders)
    counts: Counts = {
        cls: {name: Counter() for name in names} for cls in (*process.classes, MIXED)
        if any((raw.cell_type or MIXED) == cls for raw in raws)}
    false_kinds = [PRED_KINDS.index('duplicate'), PRED_KINDS.index('spurious')]
    for raw in raws:
        assert raw.truth is not None, f'image {raw.img_id}: expected its truth'
        truth, found = raw.truth, process(raw.detections)
        shared = run_intersections(found.masks.to_runs(), truth.to_runs())
        right_type = np.ones(len(found), bool)
        if raw.cell_type in process.classes:
            right_type = found.labels == process.classes.index(raw.cell_type)
        kinds = find_error_kinds(shared, found.masks.areas, truth.areas, right_type)
        wrong = np.isin(kinds.pred, false_kinds)
        rows = [(GT_KINDS[k], a) for k, a in zip(kinds.gt, truth.areas, strict=True)]
        rows += [
            (PRED_KINDS[k], a)
            for k, a in zip(kinds.pred[wrong], found.masks.areas[wrong], strict=True)]
        bins = counts[raw.cell_type or MIXED]
        for kind, area in rows:
            bins[names[int(np.searchsorted(borders, area, 'right'))]][kind] += 1
    return counts


def format_counts(counts: Counts) -> str:
    """Lay the counts out in a row for each type and size, with a total for each type."""
    lines = [f'{"":24}' + ''.join(f'{kind:>14}' for kind in KINDS)]
    for cls, bins in counts.items():
        total = sum(bins.values(), Counter())
        for name, counter in [*bins.items(), ('all', total)]:
            lines.append(f'{cls:10}{name:>14}' + ''.join(f'{counter[kind]:14}' for kind in KINDS))
    return '\n'.join(lines)

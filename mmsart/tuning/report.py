"""What a search gained, as a table."""
from collections.abc import Sequence

from mmsart.evaluation.functional import summarize
from mmsart.structures.predictions import Predictions
from mmsart.tuning.search import TuningResult


def format_gains(images: Sequence[Predictions], result: TuningResult) -> str:
    """Lay out the scores before and after the search, in a row for each type.

    Args:
        images: those that it was run on.
        result: what it found.

    Returns:
        A table; with columns out of sample where there were folds.
    """
    types = [image.cell_type for image in images]
    columns = [result.before, result.in_sample]
    if result.folds:
        columns.append(result.out_of_sample)
    summaries = [summarize(scores, types) for scores in columns]
    lines = [f'{"":12}{"images":>8}{"before":>10}{"in-sample":>11}' + (
        f'{"out-of-sample":>15}{"gain":>9}' if result.folds else '')]
    for key in ('mAP_shsy5y', 'mAP_astro', 'mAP_cort', 'mAP', 'mAP_mix'):
        if key not in summaries[0]:
            continue
        values = [summary[key] for summary in summaries]
        count = types.count(key[4:]) or len(types)
        line = f'{key:12}{count:8}{values[0]:10.4f}{values[1]:11.4f}'
        lines.append(line + (
            f'{values[2]:15.4f}{values[2] - values[0]:+9.4f}' if result.folds else ''))
    return '\n'.join(lines)

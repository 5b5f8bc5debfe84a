"""What a search gained, as a table."""
from collections.abc import Sequence

from mmsart.evaluation.functional import summarize
from mmsart.structures.predictions import Predictions
from mmsart.tuning.search import TuningResult


def format_gains(images: Sequence[Predictions], result: TuningResult,
                 classes: Sequence[str]) -> str:
    """Lay out the scores before and after the search, in a row for each type.

    Args:
        images: those that it was run on.
        result: what it found.
        classes: names in label order.

    Returns:
        A table; with columns out of sample where there were folds.
    """
    types = [image.cell_type for image in images]
    columns = [result.before, result.in_sample]
    if result.folds:
        columns.append(result.out_of_sample)
    summaries = [summarize(scores, types, classes) for scores in columns]
    keys = [*(f'mAP_{name}' for name in classes), 'mAP', 'mAP_mix']
    width = max(map(len, keys)) + 2
    lines = [f'{"":{width}}{"images":>8}{"before":>10}{"in-sample":>11}' + (
        f'{"out-of-sample":>15}{"gain":>9}' if result.folds else '')]
    for key in filter(summaries[0].__contains__, keys):
        values = [summary[key] for summary in summaries]
        cell_type = key.removeprefix('mAP_')
        count = types.count(cell_type) if cell_type in classes else len(types)
        line = f'{key:{width}}{count:8}{values[0]:10.4f}{values[1]:11.4f}'
        lines.append(line + (
            f'{values[2]:15.4f}{values[2] - values[0]:+9.4f}' if result.folds else ''))
    return '\n'.join(lines)

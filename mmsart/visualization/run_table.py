"""Tables that set several trainings side by side."""
import csv
import io
from collections.abc import Sequence

import numpy as np

from mmsart.utils import UserError
from mmsart.visualization.run_logs import RunLog

FORMATS = ('text', 'markdown', 'csv')


def run_table(runs: Sequence[RunLog], metric: str = 'sartorius/mAP') -> list[list[str]]:
    """Summarise runs, one row each below a row of headings.

    A run stands with its best validation by `metric`, the earliest of equal ones; the scores by
    class and the validation loss are those of the same validation.

    Args:
        runs: the runs.
        metric: logged score, greater is better.

    Raises:
        UserError: no run has logged the score.

    Returns:
        Rows of equal length. Unknown values are ``-``. ``memory`` is the peak of the GPU's
        tensors, or where there is no GPU the peak resident size of the training process.
    """
    if not any(metric in run.keys('val') for run in runs):
        known = sorted({key for run in runs for key in run.keys('val')})
        raise UserError(f'{metric}: no run has logged this score, expected one of '
                        f'{", ".join(known) or "none (no run was validated)"}')
    prefix = metric + '_'
    parts = list(dict.fromkeys(
        key for run in runs for key in run.keys('val') if key.startswith(prefix)))
    heading = ['run', metric, *(part.removeprefix(prefix) for part in parts), 'val loss',
               'best epoch', 'epochs', 'iterations', 'time', 'memory']
    return [heading, *([run.name, *_best(run, metric, parts), *_cost(run)] for run in runs)]


def format_table(rows: Sequence[Sequence[str]], style: str) -> str:
    """Lay out a table.

    Args:
        rows: headings first, rows of equal length.
        style: one of :data:`FORMATS`.
    """
    if style == 'csv':
        text = io.StringIO()
        csv.writer(text, lineterminator='\n').writerows(rows)
        return text.getvalue().rstrip('\n')
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ['  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
             for row in rows]
    if style == 'text':
        return '\n'.join(line.rstrip() for line in lines)
    lines = ['| ' + ' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
             + ' |' for row in rows]
    lines.insert(1, '|' + '|'.join('-' * (width + 2) for width in widths) + '|')
    return '\n'.join(lines)


def _best(run: RunLog, metric: str, parts: Sequence[str]) -> list[str]:
    scored = [record for record in run.val if np.isfinite(record.get(metric, np.nan))]
    if not scored:
        return ['-'] * (len(parts) + 3)
    best = max(scored, key=lambda record: record[metric])  # the first of equal ones
    epoch = run.epochs(np.array([best['iter']]))[0] if run.counts_epochs else best.get('step', 0)
    return [_number(best, key) for key in (metric, *parts, 'val_loss/loss')] + [f'{epoch:.0f}']


def _cost(run: RunLog) -> list[str]:
    last = run.train[-1] if run.train else {}
    seconds = '-' if run.seconds is None else _clock(run.seconds)
    peaks = [run.series('train', key).values for key in ('memory', 'host_memory')]
    memory = next((f'{values.max():.0f} MiB' for values in peaks if len(values)), '-')
    return [str(last.get('epoch', '-')), str(last.get('iter', '-')), seconds, memory]


def _number(record: dict, key: str) -> str:
    return f'{record[key]:.4f}' if key in record else '-'


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes // 60}:{minutes % 60:02d}:{rest:02d}'

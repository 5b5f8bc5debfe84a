"""Curves of trainings: losses, learning rates and scores, of one run or several."""
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mmsart.utils import atomic_write
from mmsart.visualization.run_logs import RunLog

COLUMNS = 3
_LINE_STYLES = ('-', '--', ':', '-.', (0, (5, 1)), (0, (1, 1)))


def write_curves(runs: Sequence[RunLog], folder: str | Path) -> list[Path]:
    """Draw the curves of runs into one PNG and one SVG file.

    Args:
        runs: the runs, each in a colour of its own.
        folder: where to write; made if missing.

    Returns:
        The two paths.
    """
    paths = [Path(folder) / name for name in ('curves.png', 'curves.svg')]
    with rc_context({'svg.hashsalt': 'curves', 'font.size': 8}):  # equal logs, equal files
        figure = draw_curves(runs)
        for path in paths:
            with atomic_write(path) as temporary:
                metadata = {'Date': None} if path.suffix == '.svg' else None
                figure.savefig(temporary, dpi=120, metadata=metadata)
    return paths


def draw_curves(runs: Sequence[RunLog]) -> Figure:
    """Draw total loss, each loss term, learning rates and each score, one panel each.

    Thin lines are training values, thick ones with dots are validation values, dashed vertical
    lines are borders of stages. The x axis counts epochs, or iterations if a run has no epochs.

    Args:
        runs: at least one run.
    """
    panels = [*_loss_names(runs), 'learning rate', *_score_names(runs)]
    rows = -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(4 * COLUMNS, 2.4 * rows + 0.5), layout='constrained')
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    by_epoch = all(run.counts_epochs for run in runs)
    for panel, ax in zip(panels, axes, strict=False):
        ax.set_title(panel, fontsize=9)
        for number, run in enumerate(runs):
            colour, contrast = f'C{number}', f'C{number if len(runs) > 1 else 1}'
            if panel == 'learning rate':
                _draw_rates(ax, run, colour if len(runs) > 1 else None, by_epoch)
            else:
                _draw(ax, run, 'train', panel, by_epoch, color=colour, lw=0.9, alpha=0.8)
                for key in (f'val_loss/{panel}', panel):
                    _draw(ax, run, 'val', key, by_epoch, color=contrast, lw=1.6, marker='.')
            _draw_borders(ax, run, colour if len(runs) > 1 else '0.5', by_epoch,
                          named=panel == panels[0])
        if panel != 'learning rate':
            _fit(ax)
        ax.grid(alpha=0.25)
        ax.set_xlim(0, max(_end(run, by_epoch) for run in runs) * 1.02)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    for ax in axes[len(panels):]:
        ax.set_visible(False)
    for ax in axes[max(len(panels) - COLUMNS, 0):len(panels)]:
        ax.set_xlabel('epoch' if by_epoch else 'iteration')
    figure.legend(handles=_legend(runs), loc='outside upper center', ncols=4, frameon=False)
    return figure


def _loss_names(runs: Sequence[RunLog]) -> list[str]:
    names = [key for run in runs for key in run.keys('train') if 'loss' in key]
    names += [key.removeprefix('val_loss/') for run in runs for key in run.keys('val')
              if key.startswith('val_loss/') and 'loss' in key.removeprefix('val_loss/')]
    return sorted(dict.fromkeys(names), key=lambda name: name != 'loss')


def _score_names(runs: Sequence[RunLog]) -> list[str]:
    """Name the scores to draw: those of this project, else everything that ends in mAP."""
    names = list(dict.fromkeys(key for run in runs for key in run.keys('val')))
    ours = [name for name in names if name.startswith('sartorius/mAP')]
    return ours or [name for name in names if name.endswith('mAP')]


def _draw(ax: Axes, run: RunLog, kind: str, key: str, by_epoch: bool, **style: Any) -> None:
    series = run.series(kind, key)
    if len(series):
        x = run.epochs(series.iterations) if by_epoch else series.iterations
        ax.plot(x, series.values, **style)


def _draw_rates(ax: Axes, run: RunLog, colour: str | None, by_epoch: bool) -> None:
    """Draw the rate of each part; parts of equal rates are one line, 0 is a gap."""
    keys = [key for key in run.keys('train') if key.startswith('lr/')] or ['lr']
    labels: dict[tuple, str] = {}
    for key in keys:
        series = run.series('train', key)
        rates = tuple(zip(series.iterations.tolist(), series.values.tolist(), strict=True))
        part = key.removeprefix('lr/').removesuffix('_lr')
        if series.values.any():
            labels[rates] = f'{labels[rates]}, {part}' if rates in labels else part
    for number, (rates, label) in enumerate(labels.items()):
        iterations, values = np.array(rates).T
        x = run.epochs(iterations) if by_epoch else iterations
        ax.plot(x, np.where(values > 0, values, np.nan), color=colour or f'C{number}', lw=1.2,
                marker='.' if len(values) < 20 else '',  # a single point is no line
                ls=_LINE_STYLES[number % len(_LINE_STYLES)],
                label=f'{run.name}: {label}' if colour else label)
    ax.set_yscale('log')
    if labels:
        ax.legend(fontsize=6, framealpha=0.6)


def _fit(ax: Axes) -> None:
    """Begin at 0 and leave room, so that values on the edge are whole."""
    top = ax.dataLim.y1
    if np.isfinite(top) and top > 0:
        ax.set_ylim(-0.02 * top, 1.06 * top)


def _end(run: RunLog, by_epoch: bool) -> float:
    last = np.array([record['iter'] for record in (*run.train[-1:], *run.val[-1:])]).max()
    return float(run.epochs(np.array([last]))[0]) if by_epoch else max(float(last), 1.0)


def _draw_borders(ax: Axes, run: RunLog, colour: str, by_epoch: bool, named: bool) -> None:
    for iteration, name in run.borders():
        x = run.epochs(np.array([iteration]))[0] if by_epoch else iteration
        ax.axvline(x, color=colour, ls=(0, (4, 3)), lw=0.9, alpha=0.8)
        if named:
            ax.annotate(name, (x, 1), xycoords=('data', 'axes fraction'), xytext=(3, -3),
                        textcoords='offset points', va='top', fontsize=7, color=colour)


def _legend(runs: Sequence[RunLog]) -> list[Line2D]:
    single = len(runs) == 1
    handles = [] if single else [Line2D([], [], color=f'C{number}', lw=3, label=run.name)
                                 for number, run in enumerate(runs)]
    kinds = [('training', '0.4', 0.9, ''), ('validation', '0.4', 1.6, '.')]
    if single:
        kinds = [(f'{runs[0].name}: training', 'C0', 0.9, ''), ('validation', 'C1', 1.6, '.')]
    handles += [Line2D([], [], color=colour, lw=width, marker=marker, label=label)
                for label, colour, width, marker in kinds]
    if any(run.borders() for run in runs):
        handles.append(Line2D([], [], color='0.5', lw=0.9, ls='--', label='border of stages'))
    return handles

"""Counts of errors as stacked bars."""
import os
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from mmsart.utils import atomic_write

COLOURS = ('#009e73', '#cc79a7', '#f0e442', '#0072b2', '#56b4e9', '#999999', '#e69f00', '#d55e00')


def draw_error_counts(counts: Mapping[str, Mapping[str, Counter]], kinds: Sequence[str],
                      path: str | os.PathLike) -> None:
    """Draw a group of stacked bars for each cell type, a bar for each size.

    Args:
        counts: by cell type, size bin and kind.
        kinds: in the order in which they are stacked; at most eight.
        path: PNG file.

    Raises:
        UserError: the file cannot be written.
    """
    figure = Figure(figsize=(5 * len(counts), 4), layout='constrained')
    axes = figure.subplots(1, len(counts), squeeze=False)
    for axis, (cls, bins) in zip(axes[0], counts.items(), strict=True):
        bottom = np.zeros(len(bins))
        for kind, colour in zip(kinds, COLOURS, strict=True):
            height = np.array([counter[kind] for counter in bins.values()])
            axis.bar(list(bins), height, bottom=bottom, color=colour, label=kind, width=0.7)
            bottom += height
        axis.set_title(cls)
        axis.set_ylabel('objects')
        axis.spines[['top', 'right']].set_visible(False)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=len(kinds), frameon=False)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=150, format='png')

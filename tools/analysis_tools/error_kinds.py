"""Count what is wrong with predictions, by cell type and size, and draw it.

Example: ``python tools/analysis_tools/error_kinds.py predictions.pkl --postprocess
postprocess.json --out error_kinds.png``
"""
import argparse
import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from mmsart.evaluation.functional.error_kinds import GT_KINDS, PRED_KINDS, find_error_kinds
from mmsart.formats.predictions import load_predictions
from mmsart.postprocessing import PostProcessor, load_postprocess
from mmsart.structures.mask.intersections import intersections
from mmsart.structures.predictions import Predictions
from mmsart.utils import UserError, atomic_write, check_target, cli_main

MIXED = 'mixed'
SIZES = (100, 300, 1000)
KINDS = (*GT_KINDS, 'duplicate', 'spurious')
COLOURS = ('#009e73', '#cc79a7', '#f0e442', '#0072b2', '#56b4e9', '#999999', '#e69f00', '#d55e00')
Counts = dict[str, dict[str, Counter]]


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument('predictions', help='written by tools/test.py --out, with truth')
    parser.add_argument('--postprocess', help='postprocess.json; without it the default settings')
    parser.add_argument('--sizes', type=int, nargs='+', default=list(SIZES), metavar='PX',
                        help='borders of the size bins in pixels of area')
    parser.add_argument('--out', default='error_kinds.png', help='bar chart')
    parser.add_argument('--json', help='also write the counts there')
    return parser.parse_args(args)


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
    for raw in raws:
        assert raw.truth is not None, f'image {raw.img_id}: expected its truth'
        truth, found = raw.truth, process(raw.detections)
        right_type = np.ones(len(found), bool)
        if raw.cell_type in process.classes:
            right_type = found.labels == process.classes.index(raw.cell_type)
        kinds = find_error_kinds(
            intersections(found.masks, truth).toarray(), found.masks.areas, truth.areas,
            right_type)
        wrong = np.isin(kinds.pred, [PRED_KINDS.index('duplicate'), PRED_KINDS.index('spurious')])
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


def draw_counts(counts: Counts, path: str) -> None:
    """Draw a group of stacked bars for each type, a bar for each size.

    Args:
        counts: by cell type, size bin and kind.
        path: PNG file.
    """
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(counts), figsize=(5 * len(counts), 4), squeeze=False, layout='constrained')
    for axis, (cls, bins) in zip(axes[0], counts.items(), strict=True):
        bottom = np.zeros(len(bins))
        for kind, colour in zip(KINDS, COLOURS, strict=True):
            height = np.array([counter[kind] for counter in bins.values()])
            axis.bar(list(bins), height, bottom=bottom, color=colour, label=kind, width=0.7)
            bottom += height
        axis.set_title(cls)
        axis.set_ylabel('objects')
        axis.spines[['top', 'right']].set_visible(False)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=len(KINDS), frameon=False)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=150, format='png')
    plt.close(figure)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool."""
    options = parse_args(args)
    if sorted(set(options.sizes)) != options.sizes or options.sizes[0] < 1:
        raise UserError(f'--sizes: found {options.sizes}, expected rising areas of at least 1')
    for target in (options.out, options.json):
        if target:
            check_target(target)
    classes, raws = load_predictions(options.predictions)
    process = PostProcessor(classes, **load_postprocess(options.postprocess, classes))
    bare = [raw.img_id for raw in raws if raw.truth is None]
    if not raws or bare:
        raise UserError(
            f'{options.predictions}: ' + (f'image {bare[0]}: no truth' if bare else 'no image')
            + ', expected predictions of annotated images')
    counts = count_kinds(raws, process, options.sizes)
    print(format_counts(counts))
    draw_counts(counts, options.out)
    if options.json:
        with atomic_write(options.json) as temporary:
            temporary.write_text(json.dumps(counts, indent=2) + '\n')
    written = [Path(name).as_posix() for name in (options.out, options.json) if name]
    print('written: ' + ', '.join(written))
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

"""Draw what is in a data set: classes, cells per image, areas, samples with masks.

Example:
  python tools/analysis_tools/browse.py --data-root data/sample --out figures
"""
import argparse
import os
from pathlib import Path

from mmsart.utils import UserError, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('--data-root', help='folder with train.csv and train/ (default: that of '
                        'SARTORIUS_ROOT, else data/sartorius)')
    parser.add_argument('--out', default='work_dirs/browse', help='folder for the PNG files')
    parser.add_argument('--samples', type=int, default=2,
                        help='images of each class to draw with their masks')
    parser.add_argument('--seed', type=int, default=0, help='seed for choosing these images')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    import_mmdet()
    from mmsart.datasets.train_csv import read_train_csv
    from mmsart.visualization.data_figures import write_data_figures

    if options.samples < 1 or not 0 <= options.seed < 2**32:
        raise UserError(f'--samples {options.samples} --seed {options.seed}: expected at least '
                        'one sample and a seed of 0 to 2**32 - 1')
    root = Path(options.data_root or os.environ.get('SARTORIUS_ROOT') or 'data/sartorius')
    table = read_train_csv(root / 'train.csv', None)
    paths = write_data_figures(table, root / 'train', options.out, options.samples, options.seed)
    for path in paths:
        print(path)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

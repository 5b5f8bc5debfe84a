"""Print grey values, texture and cells of data sets, side by side.

Example:
  python tools/analysis_tools/image_statistics.py data/sartorius data/sample
"""
import argparse

from mmsart.utils import UserError, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('data_roots', nargs='+', help='folders with train.csv and train/')
    parser.add_argument('--limit', type=int, default=40,
                        help='images of each class to read at most')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    import_mmdet()
    from mmsart.datasets.synthetic.statistics import data_statistics

    if options.limit < 1:
        raise UserError(f'--limit {options.limit}: expected at least 1')
    found = [data_statistics(root, options.limit) for root in options.data_roots]
    for name in {name: None for each in found for name in each}:
        columns = [each.get(name, {}) for each in found]
        print(name)
        for key in next(column for column in columns if column):
            values = ''.join(f'{column[key]:10.3f}' if column else f'{"-":>10}'
                             for column in columns)
            print(f'  {key:<24}{values}')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

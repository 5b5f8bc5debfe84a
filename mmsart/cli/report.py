"""Write a page about the results of `mmsart predict`: what to look at first, counts, areas, scores
and pictures; with truth also errors. One HTML file that needs no network.

Example:
  mmsart report results --truth train.csv
"""
import argparse

from mmsart.report import MAX_PICTURES
from mmsart.utils import cli_main, make_parser


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, 'mmsart report')
    parser.add_argument('folder', help='folder of results, with tables and label images')
    parser.add_argument('--truth', metavar='FILE',
                        help='train.csv or COCO annotations of these images')
    parser.add_argument('--out', metavar='FILE',
                        help='page to write (default: report.html in the folder)')
    parser.add_argument('--pictures', type=int, default=MAX_PICTURES, metavar='N',
                        help='number of frames with pictures on the page at most')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    from mmsart.report.page import write_report

    path = write_report(options.folder, options.truth, options.out, options.pictures)
    print(f'written: {path}')
    return 0

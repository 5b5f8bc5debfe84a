"""Write a page about a folder of results: counts, pictures, what to doubt; with truth the errors.

Example:
  python tools/report.py results --truth train.csv
"""
import argparse

from mmsart.report import MAX_PICTURES
from mmsart.utils import cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('folder', help='of results, with tables and label images')
    parser.add_argument('--truth', metavar='FILE',
                        help='train.csv or COCO annotations of these images')
    parser.add_argument('--out', metavar='FILE',
                        help='page to write (default: report.html in the folder)')
    parser.add_argument('--pictures', type=int, default=MAX_PICTURES, metavar='N',
                        help='frames whose pictures the page holds at most')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    import_mmdet()
    from mmsart.report.page import write_report

    path = write_report(options.folder, options.truth, options.out, options.pictures)
    print(f'written: {path}')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

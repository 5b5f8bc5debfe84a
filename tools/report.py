"""Write a page about a folder of results: counts, pictures, what to doubt; with truth the errors.

Example: ``python tools/report.py results --truth train.csv``
"""
import argparse

from mmsart.report import MAX_PICTURES, write_report
from mmsart.utils import cli_main


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument('folder', help='of results, with tables and label images')
    parser.add_argument('--truth', metavar='FILE',
                        help='train.csv or COCO annotations of these images')
    parser.add_argument('--out', metavar='FILE', help='default: report.html in the folder')
    parser.add_argument('--pictures', type=int, default=MAX_PICTURES, metavar='N',
                        help='frames whose pictures the page holds at most (default: %(default)s)')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool."""
    options = parse_args(args)
    path = write_report(options.folder, options.truth, options.out, options.pictures)
    print(f'written: {path}')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

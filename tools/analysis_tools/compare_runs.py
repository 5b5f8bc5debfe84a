"""Print a table of trainings: scores, best epoch, time and memory.

Example:
  python tools/analysis_tools/compare_runs.py work_dirs/* --format markdown
"""
import argparse
import sys
from pathlib import Path

from mmsart.utils import UserError, atomic_write, cli_main, make_parser

FORMATS = ('text', 'markdown', 'csv')  # of run_table, which loads numpy


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help='work dir of a training')
    parser.add_argument('--metric', default='sartorius/mAP',
                        help='score by which to choose the best epoch')
    parser.add_argument('--format', choices=FORMATS, default='text',
                        help='layout of the table')
    parser.add_argument('--out', help='also write the table to this file')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    from mmsart.visualization.run_logs import read_run
    from mmsart.visualization.run_table import format_table, run_table

    runs = []
    for work_dir in options.work_dirs:
        try:
            runs.append(read_run(work_dir))
        except UserError as error:
            if not Path(work_dir).exists():  # a typing error, not one of many in work_dirs/*
                raise
            print(f'left out: {error}', file=sys.stderr)
    if not runs:
        raise UserError(f'{options.work_dirs[0]}: found no training, expected at least one')
    rows = run_table(runs, options.metric)
    table = format_table(rows, options.format)
    print(table)
    if options.out:
        with atomic_write(options.out) as temporary:
            temporary.write_text(table + '\n')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

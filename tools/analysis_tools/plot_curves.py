"""Draw losses, learning rates and scores of one training or several.

Example:
  python tools/analysis_tools/plot_curves.py work_dirs/maskrcnn_two_stage --out figures
"""
import argparse

from mmsart.utils import cli_main, make_parser


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help='work dir of a training')
    parser.add_argument('--out', help='folder for curves.png and curves.svg '
                        '(default: the first work dir)')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    from mmsart.visualization.curves import write_curves
    from mmsart.visualization.run_logs import read_run

    runs = [read_run(work_dir) for work_dir in options.work_dirs]
    for path in write_curves(runs, options.out or options.work_dirs[0]):
        print(path)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

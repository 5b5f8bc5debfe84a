"""Check versions, operators, CUDA and data; exit code 1 if something is wrong.

Example:
  mmsart doctor --data-root data/sartorius
"""
import argparse

from mmsart.utils import cli_main, make_parser


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, 'mmsart doctor')
    parser.add_argument('--data-root', help='folder of the competition data (default: that of '
                        'SARTORIUS_ROOT, else data/sartorius if it is there)')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    from mmsart.apis.doctor import run_checks

    checks = run_checks(options.data_root)
    for check in checks:
        print(f'[{check.state:4}] {check.name}: {check.found}')
        if check.state == 'FAIL':
            print(f'       fix: {check.cure}')
    failed = sum(check.state == 'FAIL' for check in checks)
    print(f'{failed} problem(s)' if failed else 'everything is in order')
    return 1 if failed else 0

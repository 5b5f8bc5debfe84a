"""`mmsart doctor`: check the installation and the data."""
import argparse

from mmsart.utils import cli_main


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog='mmsart doctor',
        description='Check versions, operators, CUDA and data; exit code 1 if '
        'something is wrong.')
    parser.add_argument('--data-root', help='folder of the competition data (SARTORIUS_ROOT)')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    from mmsart.apis.doctor import run_checks

    options = parse_args(args)
    checks = run_checks(options.data_root)
    for check in checks:
        print(f'[{check.state:4}] {check.name}: {check.found}')
        if check.state == 'FAIL':
            print(f'       cure: {check.cure}')
    failed = sum(check.state == 'FAIL' for check in checks)
    print(f'{failed} problem(s)' if failed else 'everything is in order')
    return 1 if failed else 0

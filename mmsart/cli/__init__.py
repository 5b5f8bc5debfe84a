"""The command `mmsart`.

A subcommand is a module here with ``main(args)``, imported when it is called, and a line in
`COMMANDS`.
"""
import argparse
import importlib
import sys

from mmsart import __version__
from mmsart.utils.errors import did_you_mean
from mmsart.utils.threads import wait_briefly

wait_briefly()  # every command and tool comes by here before it imports torch

COMMANDS = {
    'predict': 'find the cells of pictures',
    'app': 'open a page in the browser: drop pictures, correct, export',
    'report': 'write a page about the results of predict',
    'models': 'list the models that come with the package',
    'train': 'train a model as a config says',
    'test': 'score a trained model, or write its predictions',
    'tune': 'find the post-processing that scores best',
    'ensemble': 'make several trained models one',
    'score-submission': "score a file in Kaggle's format",
    'check-submission': 'list what Kaggle would reject in such a file',
    'export': 'write a model as an ONNX file',
    'kaggle-bundle': 'write what a submission on Kaggle needs',
    'demo-data': 'generate a data set to try everything on',
    'doctor': 'check the installation and the data',
}
"""Subcommands and what they do; the module has the same name, with underscores."""


def main(args: list[str] | None = None) -> int:
    """Run a subcommand.

    Args:
        args: the command line, that of the process if None.

    Returns:
        The exit code: 0, or 2 for an error that the user can fix; subcommands add their own.
    """
    given = sys.argv[1:] if args is None else args
    parser = argparse.ArgumentParser(
        prog='mmsart', allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
        description='Instance segmentation of cells in phase-contrast images.',
        epilog='commands:\n' + ''.join(
            f'  {name:18}{summary}\n' for name, summary in COMMANDS.items())
        + '\n`mmsart COMMAND --help` shows the options of one.')
    parser.add_argument('--version', action='version', version=f'mmsart {__version__}')
    parser.add_argument('command', metavar='COMMAND', help='one of those below')
    parser.add_argument('arguments', nargs=argparse.REMAINDER, metavar='...', help='what it takes')
    if not given:
        parser.print_help()
        return 2
    options = parser.parse_args(given)
    if options.command not in COMMANDS:
        parser.error(f'found the command {options.command!r}, expected one of '
                     f'{", ".join(COMMANDS)}{did_you_mean(options.command, COMMANDS)}')
    module = importlib.import_module(f'mmsart.cli.{options.command.replace("-", "_")}')
    return module.main(options.arguments)

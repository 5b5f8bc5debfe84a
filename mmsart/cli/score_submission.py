"""Compute the competition's mAP of a file in Kaggle's format, over the images that it names.

Example:
  mmsart score-submission --truth data/sartorius/train.csv --submission submission.csv
"""
import argparse
import json

from mmsart.utils import cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, 'mmsart score-submission')
    parser.add_argument('--truth', required=True, metavar='train.csv', help='annotations')
    parser.add_argument('--submission', required=True, metavar='FILE.csv',
                        help='columns id and predicted')
    parser.add_argument('--complete', action='store_true',
                        help='refuse a file that lacks an image of the truth, as Kaggle does')
    parser.add_argument('--json', action='store_true', help='print the scores as JSON')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    import_mmdet()
    from mmsart.evaluation.submission import score_submission

    scores = score_submission(options.truth, options.submission, options.complete)
    if options.json:
        print(json.dumps(scores))
        return 0
    for key, value in scores.items():
        print(f'{key}: {value:.6f}' if isinstance(value, float) else f'{key}: {value}')
    return 0

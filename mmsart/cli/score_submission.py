"""`mmsart score-submission`: score a file in Kaggle's format."""
import argparse
import json

from mmsart.utils import cli_main


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog='mmsart score-submission',
        description="Compute the competition's mAP of a file in Kaggle's format, over the images "
        'that it names.')
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
    from mmsart.evaluation.submission import score_submission

    options = parse_args(args)
    scores = score_submission(options.truth, options.submission, options.complete)
    if options.json:
        print(json.dumps(scores))
        return 0
    for key, value in scores.items():
        print(f'{key}: {value:.6f}' if isinstance(value, float) else f'{key}: {value}')
    return 0

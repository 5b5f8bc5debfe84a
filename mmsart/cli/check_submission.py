"""Name, row by row, what Kaggle would refuse in a submission.

Example:
  mmsart check-submission submission.csv --images data/sartorius/test
"""
import argparse
import sys

from mmsart.utils import UserError, cli_main, make_parser, raise_all
from mmsart.utils.quiet import import_mmdet

LONGEST_SIDE = 1 << 20  # pixels; products stay far from the end of int64


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, 'mmsart check-submission')
    parser.add_argument('submission', help='CSV file, id,predicted')
    expected = parser.add_mutually_exclusive_group(required=True)
    expected.add_argument('--images', help='folder of the images to predict: their ids and sizes')
    expected.add_argument('--truth', help='train.csv of the images to predict')
    expected.add_argument(
        '--size', nargs=2, type=int, metavar=('H', 'W'),
        help='size of every image; ids are then not checked')
    parser.add_argument(
        '--subset', action='store_true', help='allow images without a row')
    parser.add_argument('--limit', type=int, default=20, help='number of problems to print at most')
    return parser.parse_args(args)


def folder_sizes(folder: str) -> dict[str, tuple[int, int]]:
    """Read ids and (h, w) of the images of a folder."""
    from mmsart.datasets.image_folder import image_size, list_images

    sizes, errors = {}, []
    for path in list_images(folder):
        try:
            sizes[path.stem] = image_size(path)
        except UserError as error:
            errors.append(error)
    raise_all(errors)
    return sizes


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool; 0 if Kaggle would take the file, else 2."""
    options = parse_args(args)
    if options.limit < 1:
        raise UserError(f'--limit: found {options.limit}, expected at least 1')
    import_mmdet()
    from mmsart.datasets.train_csv import read_train_csv
    from mmsart.formats.submission import read_submission
    from mmsart.formats.submission_check import check_submission

    submission = read_submission(options.submission)
    if options.size and not 1 <= min(options.size) <= max(options.size) <= LONGEST_SIDE:
        raise UserError(f'--size: found {options.size}, expected height and width of 1 to '
                        f'{LONGEST_SIDE}')
    if not submission.ids:
        raise UserError(f'{options.submission}: no rows, expected at least one image')
    sizes = (folder_sizes(options.images) if options.images
             else read_train_csv(options.truth, classes=None).sizes_by_id() if options.truth
             else tuple(options.size))
    problems = check_submission(
        submission, sizes, allow_missing=options.subset, limit=options.limit + 1)
    for problem in problems[:options.limit]:
        print(f'error: {options.submission}: {problem.message}', file=sys.stderr)
    if problems:
        if len(problems) > options.limit:
            print(f'the check stopped at {options.limit} problems (--limit)', file=sys.stderr)
        return 2
    filled = sum(bool(text.strip()) for text in submission.predicted)
    print(f'{options.submission}: {filled} instances in {len(set(submission.ids))} images, '
          'no shared pixel, every run in order and inside its image')
    return 0

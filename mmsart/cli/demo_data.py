"""Generate a data set of phase-contrast-like images in the competition's layout.

Example:
  mmsart demo-data data/sample --images 120 --size 256 256
"""
import argparse

from mmsart.datasets.classes import CLASSES
from mmsart.utils import cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, 'mmsart demo-data')
    parser.add_argument('out', help='folder to write; must be empty or not exist')
    parser.add_argument('--images', type=int, default=60, help='labelled images')
    parser.add_argument('--seed', type=int, default=0, help='the same seed gives the same images')
    parser.add_argument('--size', type=int, nargs=2, default=(520, 704), metavar=('H', 'W'),
                        help='height and width in pixels')
    parser.add_argument('--types', nargs='+', default=CLASSES, metavar='TYPE',
                        help='cell types')
    parser.add_argument('--test', type=int, default=3, metavar='N', help='images in test/')
    parser.add_argument('--unlabelled', type=int, default=4, metavar='N',
                        help='images in train_semi_supervised/')
    parser.add_argument('--dense', action='store_true',
                        help='add one labelled image with 790 cells, fewer if it is smaller')
    parser.add_argument('--force', action='store_true',
                        help='replace generated data: the files that its generated.txt lists')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Generate and write the data set.

    Args:
        args: the command line, that of the process if None.

    Returns:
        The exit code.
    """
    given = parse_args(args)
    import_mmdet()
    from mmsart.datasets.synthetic.sample_folder import SamplePlan, write_sample_dataset

    plan = SamplePlan(given.images, given.seed, tuple(given.size), tuple(given.types),
                      given.test, given.unlabelled, given.dense)
    counts = write_sample_dataset(given.out, plan, given.force)
    print(f'{given.out}: {counts["train"]} labelled images with {counts["cells"]} cells, '
          f'{counts["test"]} test images, {counts["train_semi_supervised"]} unlabelled images')
    return 0

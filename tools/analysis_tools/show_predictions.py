"""Draw the final cells beside the truth: the best, the middle and the worst image, or all.

Example:
  python tools/analysis_tools/show_predictions.py predictions.pkl --images data/sartorius/train
"""
import argparse

from mmsart.utils import cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('predictions', help='file of mmsart test --out')
    parser.add_argument('--images', required=True, metavar='DIR', help='folder of the images')
    parser.add_argument('--out', default='pictures', metavar='DIR', help='folder to write')
    parser.add_argument('--postprocess', metavar='FILE',
                        help="the tuner's postprocess.json, or a config (.py) whose settings "
                        'to use; by default those of the test that wrote the predictions')
    parser.add_argument('--all', action='store_true', help='draw every image')
    parser.add_argument('--scale', type=int, default=1, help='magnification')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    import_mmdet()
    from mmsart.apis.config import find_metric, load_config
    from mmsart.apis.prediction_pictures import write_pictures
    from mmsart.formats.predictions import load_predictions
    from mmsart.postprocessing import load_postprocess

    settings = options.postprocess
    if settings and settings.endswith('.py'):
        settings = (find_metric(load_config(settings), 'test_evaluator') or {}).get('postprocess')
    saved = load_predictions(options.predictions)
    paths = write_pictures(
        saved.images, saved.classes, options.images, options.out,
        load_postprocess(settings or saved.postprocess, saved.classes),
        every=options.all, scale=options.scale)
    for path in paths:
        print(path)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

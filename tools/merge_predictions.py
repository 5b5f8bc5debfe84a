"""Fuse predictions that several models made of the same images, or join those of different images.

Example:
  python tools/merge_predictions.py one.pkl other.pkl --out both.pkl
  python tools/merge_predictions.py fold0.pkl fold1.pkl fold2.pkl --join --out all.pkl
"""
import argparse

from mmsart.cli.ensemble import check_fusion
from mmsart.utils import UserError, check_target, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('predictions', nargs='+',
                        help='written by mmsart test --out, with soft masks (--cfg-options '
                        'model.test_cfg.rcnn.keep_mask_logits=True)')
    parser.add_argument('--out', required=True, metavar='FILE.pkl', help='file to write')
    parser.add_argument('--join', action='store_true',
                        help='the files are of different images, as of the folds of a '
                        'cross-validation: put them together unchanged')
    parser.add_argument('--shares', type=float, nargs='+', metavar='W',
                        help='weights of the models in the fusion; by default equal ones')
    parser.add_argument('--iou-thr', type=float, default=0.5,
                        help='IoU above which masks of two models are one cell')
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    check_fusion(len(options.predictions), options.shares, options.iou_thr)
    if options.join and options.shares:
        raise UserError('--join: found --shares too, expected one of them')
    import_mmdet()
    from mmsart.apis.merging import fuse_predictions, join_predictions

    check_target(options.out, '.pkl', options.predictions)
    if options.join:
        count = join_predictions(options.predictions, options.out)
    else:
        count = fuse_predictions(
            options.predictions, options.out, options.shares, options.iou_thr)
    print(f'{count} images written to {options.out}')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

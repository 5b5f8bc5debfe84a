"""Make several trained models one, whose detections are fused mask by mask.

Example:
  mmsart ensemble configs/sartorius/cascade_lite2.py work_dirs/fold0 work_dirs/fold1 \\
      --out work_dirs/both
  mmsart test work_dirs/both/ensemble.py work_dirs/both --out predictions.pkl
  mmsart tune work_dirs/both/ensemble.py predictions.pkl --out work_dirs/both/postprocess.json
  mmsart predict plate1 --out results --weights work_dirs/both
"""
import argparse

from mmsart.utils import UserError, add_config_options, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, 'mmsart ensemble')
    parser.add_argument('config', help='config of the data and metrics; also the model of weights '
                        'that carry no config')
    parser.add_argument('weights', nargs='+',
                        help='members: names of models of the package, checkpoints, or work dirs')
    parser.add_argument('--out', required=True, metavar='DIR',
                        help='folder to write; stands for the model as a work dir does')
    parser.add_argument('--shares', type=float, nargs='+', metavar='W',
                        help='weights of the members in the fusion; by default equal ones')
    parser.add_argument('--iou-thr', type=float, default=0.5,
                        help='IoU above which masks of two members are one cell')
    add_config_options(parser)
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    check_fusion(len(options.weights), options.shares, options.iou_thr)
    import_mmdet()
    from mmsart.apis.ensemble import make_ensemble

    path = make_ensemble(options.config, options.weights, options.out, options.shares,
                         options.iou_thr, options.cfg_options)
    print(f'{path}: {len(options.weights)} members, {path.stat().st_size / 1e6:.1f} MB')
    return 0


def check_fusion(members: int, shares: list[float] | None, iou_thr: float) -> None:
    """Check the options of a fusion.

    Raises:
        UserError: one is out of range.
    """
    if members < 2:
        raise UserError('found one member, expected two or more')
    if shares is not None and (len(shares) != members or not all(0 < w < 1e9 for w in shares)):
        raise UserError(f'--shares: found {" ".join(map(str, shares))}, expected {members} numbers '
                        'above 0, one for each member')
    if not 0 <= iou_thr < 1:
        raise UserError(f'--iou-thr: found {iou_thr}, expected a number in [0, 1)')

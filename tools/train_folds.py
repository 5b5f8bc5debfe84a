"""Train a config on each fold of a cross-validation and join the predictions of held-out images.

The same command, given again, goes on where it was stopped.

Example:
  python tools/train_folds.py configs/sartorius/maskrcnn_lite_cpu.py --folds 5 \\
      --work-dir work_dirs/lite_folds
  mmsart tune configs/sartorius/maskrcnn_lite_cpu.py work_dirs/lite_folds/out_of_fold.pkl
"""
import argparse
from pathlib import Path

from mmsart.utils import add_config_options, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('config', help='config file, or mmsart::NAME for one of the package')
    parser.add_argument('--folds', type=int, default=5, help='number of folds')
    parser.add_argument('--seed', type=int, default=0, help='seed of the split')
    parser.add_argument('--only', type=int, nargs='+', metavar='FOLD',
                        help='train these folds now, counted from 0; to share the folds among '
                        'machines or GPUs')
    parser.add_argument('--work-dir', help='gets fold0, fold1 ... (default: work_dirs/ and the '
                        'name of the config with _folds)')
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision, on a GPU')
    add_config_options(parser)
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    import_mmdet()
    from mmsart.apis.folds import train_folds

    work_dir = options.work_dir or f'work_dirs/{Path(options.config).stem}_folds'
    joined = train_folds(options.config, work_dir, options.folds, options.seed, options.only,
                         options.cfg_options, options.amp)
    if joined is None:
        print(f'{work_dir}: other folds are not done yet; their predictions are joined with the '
              'last one')
    else:
        print(f'predictions of all folds: {joined}')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

"""Score a trained model on the validation images, or write its predictions for a folder of images.

Example:
  mmsart test configs/sartorius/maskrcnn_lite_cpu.py work_dirs/lite
  mmsart test configs/sartorius/maskrcnn_lite_cpu.py work_dirs/lite --out predictions.pkl
  mmsart test configs/sartorius/finetune_mobilenetv2.py cascade_mobilenetv2
  mmsart test configs/sartorius/maskrcnn_lite_cpu.py work_dirs/lite \\
      --images data/sartorius/test --submission submission.csv
"""
import argparse
import sys

from mmsart.utils import add_run_arguments, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, 'mmsart test')
    parser.add_argument('config', help='config file, or mmsart::NAME for one of the package')
    parser.add_argument('checkpoint',
                        help='weights of a trained model, the work dir of a run (its best, else '
                        'its last), or a model of the package, by name')
    parser.add_argument('--work-dir', help='folder of the log (default: work_dirs/ and the name '
                        'of the config)')
    parser.add_argument('--out', metavar='FILE.pkl',
                        help='write raw predictions, for mmsart tune')
    parser.add_argument('--submission', metavar='FILE.csv', help="write Kaggle's submission file")
    parser.add_argument('--images', metavar='DIR',
                        help='predict this folder of images instead of the validation images, '
                        'and print the number of cells in each')
    parser.add_argument('--postprocess', metavar='FILE.json',
                        help='post-processing settings; by default postprocess.json beside the '
                        "checkpoint, where the tuner has put one, or those of the package's "
                        "model, else the config's, each with the changes of --cfg-options")
    parser.add_argument('--true-boxes', action='store_true',
                        help="paint masks in the true boxes rather than in the model's own, to "
                        'see what perfect boxes would bring')
    parser.add_argument('--show', action='store_true', help='show the final cells in a window')
    parser.add_argument('--show-dir', metavar='DIR', help='write pictures of the final cells')
    parser.add_argument('--wait-time', type=float, default=2,
                        help='seconds that a window stays open')
    add_run_arguments(parser)
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    import_mmdet()
    from mmsart.apis.config import load_config
    from mmsart.apis.runs import test_model
    from mmsart.evaluation.metrics.cell_counter import describe_counts

    cfg = load_config(options.config, options.cfg_options, options.work_dir)
    values = test_model(
        cfg, options.checkpoint, out=options.out, submission=options.submission,
        images=options.images, postprocess=options.postprocess, show=options.show,
        show_dir=options.show_dir, wait_time=options.wait_time, launcher=options.launcher,
        local_rank=options.local_rank, true_boxes=options.true_boxes)
    if not options.images:
        for key, value in values.items():
            print(f'{key}: {value:.6f}' if isinstance(value, float) else f'{key}: {value}')
        return 0
    print(*describe_counts(values), sep='\n')
    if not (options.submission or options.out or options.show_dir or options.show):
        print('nothing is written without --submission FILE.csv, --out FILE.pkl or --show-dir DIR; '
              'mmsart predict writes outlines, label images and tables', file=sys.stderr)
    return 0

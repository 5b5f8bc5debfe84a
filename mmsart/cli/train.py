"""Train a model as a config says.

Example:
  mmsart train configs/sartorius/maskrcnn_lite_cpu.py --work-dir work_dirs/lite
  mmsart train configs/sartorius/maskrcnn_lite_cpu.py --work-dir work_dirs/lite --resume
"""
import argparse

from mmsart.utils import add_run_arguments, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet
from mmsart.utils.threads import leave_busy_cores


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, 'mmsart train')
    parser.add_argument('config', help='config file, or mmsart::NAME for one of the package')
    parser.add_argument('--work-dir', help='folder of logs and checkpoints (default: work_dirs/ '
                        'and the name of the config)')
    parser.add_argument('--data', metavar='DIR',
                        help="folder of the data, in place of the config's data_root")
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision, on a GPU')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help='scale learning rates by the total batch size')
    parser.add_argument('--overwrite', action='store_true',
                        help='remove the training that the work dir holds, and begin anew; '
                        'without it and --resume a used work dir is refused')
    parser.add_argument('--resume', nargs='?', const='auto', metavar='CHECKPOINT',
                        help='resume from a checkpoint, by default the newest in the work dir')
    add_run_arguments(parser)
    return parser.parse_args(args)


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    if not options.resume:  # it goes on with as many threads as it began
        leave_busy_cores()
    import_mmdet()
    from mmsart.apis.config import load_config
    from mmsart.apis.runs import train_model

    given = list(options.cfg_options)
    if options.data is not None:
        given.append(f'data_root={options.data.rstrip("/")}/')
    cfg = load_config(options.config, given, options.work_dir)
    train_model(
        cfg, resume=options.resume, amp=options.amp, auto_scale_lr=options.auto_scale_lr,
        launcher=options.launcher, local_rank=options.local_rank, overwrite=options.overwrite)
    return 0

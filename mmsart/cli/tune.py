"""Find the post-processing that scores best on saved predictions, and write it as JSON.

Example:
  mmsart test configs/sartorius/maskrcnn_lite_cpu.py work_dirs/lite --out predictions.pkl
  mmsart tune configs/sartorius/maskrcnn_lite_cpu.py predictions.pkl \\
      --out work_dirs/lite/postprocess.json
"""
import argparse
import json
import os
import time
from collections.abc import Sequence
from typing import Any

from mmsart.utils import UserError, atomic_write, check_target, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, 'mmsart tune')
    parser.add_argument('config', help='config whose post-processing the search starts from')
    parser.add_argument('predictions',
                        help='predictions of annotated images, written by mmsart test --out')
    parser.add_argument('--trials', type=int, default=500, help='settings to try for each class')
    parser.add_argument('--folds', type=int, default=5,
                        help='number of folds of the cross-validation')
    parser.add_argument('--seed', type=int, default=0, help='seed of the search')
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count() or 1,
        help='number of processes, at most one per class; the result does not depend on it')
    parser.add_argument('--out', default='postprocess.json',
                        help='file to write; put it beside the weights, where tests and '
                        'predictions find it')
    return parser.parse_args(args)


def base_settings(path: str, classes: Sequence[str], predictions: str) -> dict[str, Any]:
    """Read the post-processing of a config's SartoriusMetric; defaults where it has none.

    Raises:
        UserError: it is not for the classes of the predictions.
    """
    from mmsart.apis.config import find_metric, load_config
    from mmsart.postprocessing import load_postprocess

    config = load_config(path)
    metric = find_metric(config, 'test_evaluator') or find_metric(config, 'val_evaluator') or {}
    try:
        return load_postprocess(metric.get('postprocess'), classes)
    except UserError as error:
        raise UserError(f'{path}: {error}; classes are those of {predictions}') from error


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool."""
    options = parse_args(args)
    for name in ('trials', 'folds', 'workers'):
        if (value := getattr(options, name)) < 1:
            raise UserError(f'--{name}: found {value}, expected at least 1')
    if not 0 <= options.seed < 2**32:
        raise UserError(f'--seed: found {options.seed}, expected 0 to {2**32 - 1}')
    import_mmdet()
    from mmsart.formats.predictions import load_annotated
    from mmsart.tuning import tune
    from mmsart.tuning.report import format_gains

    check_target(options.out, '.json', [options.config, options.predictions])
    saved = load_annotated(options.predictions)
    classes, images = saved.classes, saved.images
    base = base_settings(options.config, classes, options.predictions)
    begin = time.perf_counter()
    result = tune(
        images, classes, base, options.trials, options.folds, options.seed, options.workers)
    seconds = time.perf_counter() - begin
    with atomic_write(options.out) as temporary:
        temporary.write_text(json.dumps(result.config, indent=2) + '\n')
    print(format_gains(images, result, classes))
    if result.folds:
        print(f'out-of-sample: each image with settings tuned on the other '
              f'{len(result.folds) - 1} of {len(result.folds)} folds, split by sample_id')
    print(f'{options.trials} trials per class in {seconds:.1f} s; settings written to '
          f'{options.out}')
    return 0

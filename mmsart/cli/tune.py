"""Find the post-processing that scores best on cached predictions, and write it as JSON.

Example: ``mmsart test CONFIG CHECKPOINT --out predictions.pkl`` and then
``mmsart tune CONFIG predictions.pkl --out postprocess.json``
"""
import argparse
import json
import os
import time
from collections.abc import Sequence
from typing import Any

from mmsart.apis.config import find_metric, load_config
from mmsart.formats.predictions import SavedPredictions, load_predictions
from mmsart.postprocessing import load_postprocess
from mmsart.tuning import tune
from mmsart.tuning.report import format_gains
from mmsart.utils import UserError, atomic_write, check_target, cli_main


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog='mmsart tune', description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument('config', help='its metric\'s postprocess is where the search begins')
    parser.add_argument('predictions', help='written by mmsart test --out, with truth')
    parser.add_argument('--trials', type=int, default=500, help='for each class (default 500)')
    parser.add_argument('--folds', type=int, default=5, help='of the cross-validation (default 5)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count() or 1,
        help='processes; the result is the same with any number (default: a core each, at most '
             'one a class)')
    parser.add_argument('--out', default='postprocess.json')
    return parser.parse_args(args)


def base_settings(path: str, classes: Sequence[str]) -> dict[str, Any]:
    """Read the post-processing of a config's SartoriusMetric; defaults where it has none."""
    config = load_config(path)
    metric = find_metric(config, 'test_evaluator') or find_metric(config, 'val_evaluator') or {}
    return load_postprocess(metric.get('postprocess'), classes)


def load_annotated(path: str) -> SavedPredictions:
    """Read predictions with truth.

    Raises:
        UserError: there is no image, or one without truth.
    """
    saved = load_predictions(path)
    if not saved.images:
        raise UserError(f'{path}: found no image, expected predictions to tune on')
    for image in saved.images:
        if image.truth is None:
            raise UserError(
                f'{path}: image {image.img_id}: no truth, expected predictions of annotated images')
    return saved


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool."""
    options = parse_args(args)
    if min(options.trials, options.folds, options.workers) < 1:
        raise UserError(f'found --trials {options.trials} --folds {options.folds} --workers '
                        f'{options.workers}, expected at least 1')
    if not 0 <= options.seed < 2**32:
        raise UserError(f'--seed: found {options.seed}, expected 0 to {2**32 - 1}')
    check_target(options.out)
    classes, images = load_annotated(options.predictions)
    base = base_settings(options.config, classes)
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
    print(f'{options.trials} trials a class in {seconds:.1f} s; settings written to {options.out}')
    return 0

"""Tell how well a config's anchors and strides fit the true boxes, without any training.

Example:
  python tools/analysis_tools/anchor_recall.py configs/sartorius/maskrcnn_lite_cpu.py
"""
import argparse
from pathlib import Path
from typing import Any

from mmsart.utils import UserError, cli_main, make_parser
from mmsart.utils.quiet import import_mmdet


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('config', help='config file of a detector with an RPN')
    parser.add_argument('--truth', metavar='train.csv', help="boxes in place of the config's")
    return parser.parse_args(args)


def read_detector(path: str) -> Any:
    """Read a config with an RPN and a test pipeline.

    Raises:
        MissingFileError: there is no such file.
        UserError: it has no anchors or no test data.
    """
    from mmsart.apis.config import get_value, has_key, load_config

    config = load_config(path)
    for key in ('model.rpn_head', 'model.train_cfg.rpn.assigner', 'test_dataloader.dataset'):
        if not has_key(config, key) or not get_value(config, key):
            raise UserError(f'{path}: no {key}, expected the config of a detector with an RPN')
    return config


def read_boxes(config: Any, truth: str | None) -> Any:
    """Read all boxes of a ``train.csv``, or those of the images that a config tests.

    Args:
        config: of a detector.
        truth: a table to read in place of the config's data.

    Returns:
        The `TrueBoxes`.

    Raises:
        UserError: the data cannot be read.
    """
    from mmdet.registry import DATASETS

    from mmsart.apis.dataset_checks import check_datasets
    from mmsart.datasets.sartorius import SartoriusDataset
    from mmsart.datasets.train_csv import read_train_csv
    from mmsart.evaluation.anchor_coverage import TrueBoxes

    dataset = config.test_dataloader.dataset
    kind: Any = DATASETS.get(dataset.type)
    if truth is None and not (isinstance(kind, type) and issubclass(kind, SartoriusDataset)):
        return TrueBoxes.from_datasets(check_datasets(config, 'test_dataloader'))
    table = truth or Path(dataset.get('data_root', '')) / dataset.get('ann_file', '')
    return TrueBoxes.from_table(read_train_csv(table, classes=None))


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    options = parse_args(args)
    import_mmdet()
    from mmsart.datasets.nested import find_datasets
    from mmsart.evaluation.anchor_coverage import format_coverage, measure_coverage

    config = read_detector(options.config)
    boxes = read_boxes(config, options.truth)
    if not len(boxes.bboxes):
        raise UserError(f'{options.truth or options.config}: no cells, expected some to cover with '
                        'anchors')
    pipeline = next(find_datasets(config.test_dataloader)).pipeline
    coverage = measure_coverage(boxes, config.model, pipeline)
    print(format_coverage(coverage, config.model.train_cfg.rpn.assigner))
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

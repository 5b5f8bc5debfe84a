"""Tell how well a config's anchors and strides fit the true boxes, without any training.

Example: ``python tools/analysis_tools/anchor_recall.py configs/sartorius/maskrcnn_lite_cpu.py``
"""
import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
from mmdet.registry import TASK_UTILS
from mmengine.config import Config

from mmsart.apis.config import load_config
from mmsart.datasets.classes import CLASSES
from mmsart.datasets.train_csv import TrainTable, read_train_csv
from mmsart.evaluation.functional.anchor_recall import Level, best_anchor_ious, count_anchors
from mmsart.utils import UserError, cli_main

BINS = np.linspace(0, 1, 11)


def parse_args(args: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument('config')
    parser.add_argument('--truth', help='another train.csv than the config\'s')
    return parser.parse_args(args)


def load_detector_config(path: str) -> Config:
    """Read a config with an RPN and a test pipeline.

    Raises:
        MissingFileError: there is no such file.
        UserError: it has no anchors or no test data.
    """
    config = load_config(path)
    for owner, key in (('model', 'rpn_head'), ('test_dataloader', 'dataset')):
        if key not in config.get(owner, {}):
            raise UserError(f'{path}: no {owner}.{key}, expected that of a Mask R-CNN')
    train_cfg = config.model.get('train_cfg') or {}
    if 'assigner' not in (train_cfg.get('rpn') or {}):
        raise UserError(f'{path}: no model.train_cfg.rpn.assigner, expected that of a Mask R-CNN')
    return config


def test_size(pipeline: list[Mapping[str, Any]], height: int, width: int) -> tuple[int, int]:
    """Give the size to which a pipeline's Resize brings an image.

    Args:
        pipeline: transforms; without a Resize the size stays.
        height: in pixels.
        width: in pixels.

    Returns:
        (h, w) in pixels.
    """
    for step in pipeline:
        if step['type'] != 'Resize':
            continue
        if step.get('scale') is None:
            factor = step['scale_factor']
            for_width, for_height = factor if isinstance(factor, tuple | list) else (factor, factor)
            return int(height * for_height + 0.5), int(width * for_width + 0.5)
        scale = tuple(step['scale'])
        if step.get('keep_ratio'):
            new_width, new_height = mmcv.rescale_size((width, height), scale)
            return new_height, new_width
        return scale[1], scale[0]
    return height, width


def anchor_levels(config: Config, height: int, width: int) -> list[Level]:
    """Lay a config's anchors over an input.

    Args:
        config: with ``model.rpn_head.anchor_generator``.
        height: of the input in pixels, before padding.
        width: of the input in pixels, before padding.

    Returns:
        Base anchors, stride and grid of each level.
    """
    generator = TASK_UTILS.build(config.model.rpn_head.anchor_generator)
    divisor = config.model.get('data_preprocessor', {}).get('pad_size_divisor', 1)
    padded = [math.ceil(side / divisor) * divisor for side in (height, width)]
    return [
        (anchors.numpy().astype(np.float64), stride,
         (math.ceil(padded[0] / stride[1]), math.ceil(padded[1] / stride[0])))
        for anchors, stride in zip(generator.base_anchors, generator.strides, strict=True)]


def input_boxes(table: TrainTable, new_size: tuple[int, int], chosen: np.ndarray) -> np.ndarray:
    """Scale the boxes of images of one size to the network's input.

    Returns:
        (N, 4) float64 xyxy.
    """
    height, width = table.sizes[chosen[0]]
    scale = np.array([new_size[1] / width, new_size[0] / height])
    boxes = [table.bboxes[table.instances(image)] for image in chosen]
    return np.concatenate(boxes) * np.tile(scale, 2)


def histogram_line(name: str, ious: np.ndarray) -> str:
    """Write the share of boxes in each tenth of the best IoU, in percent."""
    shares = np.histogram(ious, BINS)[0] / max(len(ious), 1) * 100
    return f'{name:10}' + ''.join(f'{share:8.1f}' for share in shares)


def format_class(name: str, ious: np.ndarray, good: np.ndarray, assigner: Mapping) -> str:
    """Write one row of the table.

    Args:
        name: of the class.
        ious: (N,) best IoU of each box.
        good: (N,) anchors of each box at or above the positive threshold.
        assigner: the RPN's.
    """
    lost = ious < assigner['min_pos_iou']
    only_best = (good == 0) & ~lost
    return (f'{name:10}{len(ious):8}{(ious > 0.5).mean():10.3f}{(ious > 0.7).mean():10.3f}'
            f'{ious.mean():10.3f}{np.median(good):12.0f}{only_best.mean():12.3f}'
            f'{lost.mean():10.3f}')


@cli_main
def main(args: list[str] | None = None) -> int:
    """Run the tool."""
    options = parse_args(args)
    config = load_detector_config(options.config)
    dataset = config.test_dataloader.dataset
    table = read_train_csv(
        options.truth or Path(dataset.get('data_root', '')) / dataset.get('ann_file', ''))
    if not len(table.bboxes):
        raise UserError(f'{table.path}: no cells, expected some to cover with anchors')
    assigner = config.model.train_cfg.rpn.assigner
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in CLASSES}
    for name in CLASSES:
        of_class = table.cell_types == name
        for size in np.unique(table.sizes[of_class], axis=0).tolist():
            chosen = np.flatnonzero(of_class & (table.sizes == size).all(1))
            new_size = test_size(dataset.pipeline, *size)
            levels = anchor_levels(config, *new_size)
            boxes = input_boxes(table, new_size, chosen)
            found[name].append((
                best_anchor_ious(boxes, levels),
                count_anchors(boxes, levels, assigner['pos_iou_thr'])))
    columns = {
        name: tuple(map(np.concatenate, zip(*parts, strict=True)))
        for name, parts in found.items() if sum(len(ious) for ious, _ in parts)}
    columns['all'] = tuple(map(np.concatenate, zip(*columns.values(), strict=True)))
    print(f'{"":10}{"boxes":>8}{"R@.5":>10}{"R@.7":>10}{"mean IoU":>10}{"anchors":>12}'
          f'{"only best":>12}{"none":>10}')
    for name, (ious, good) in columns.items():
        print(format_class(name, ious, good, assigner))
    print(f'\nanchors: median number with IoU >= {assigner["pos_iou_thr"]}; only best: boxes '
          'without one, left to the low-quality match;\nnone: boxes whose best anchor is below '
          f'{assigner["min_pos_iou"]}, never learned from\n\nshare of boxes (%) by best IoU\n'
          f'{"":10}' + ''.join(f'{low:5.1f}-{low + 0.1:.1f}'[-8:] for low in BINS[:-1]))
    for name, (ious, _) in columns.items():
        print(histogram_line(name, ious))
    return 0


if __name__ == '__main__':
    raise SystemExit(main())

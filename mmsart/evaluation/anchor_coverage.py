"""How well the anchors of a detector cover the cells of a data set, class by class."""
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from mmdet.registry import TASK_UTILS

from mmsart.datasets.input_size import input_size
from mmsart.datasets.train_csv import TrainTable
from mmsart.evaluation.functional.anchor_recall import Level, best_anchor_ious, count_anchors

BINS = np.linspace(0, 1, 11)
Coverage = dict[str, tuple[np.ndarray, np.ndarray]]
"""By class: best IoU of each box, and number of anchors at or above the positive threshold."""


def anchor_levels(model: Mapping[str, Any], height: int, width: int) -> list[Level]:
    """Lay a detector's anchors over an input.

    Args:
        model: config with ``rpn_head.anchor_generator``.
        height: of the input in pixels, before padding.
        width: of the input in pixels, before padding.

    Returns:
        Base anchors, stride and grid of each level.
    """
    generator = TASK_UTILS.build(model['rpn_head']['anchor_generator'])
    divisor = model.get('data_preprocessor', {}).get('pad_size_divisor', 1)
    padded = [math.ceil(side / divisor) * divisor for side in (height, width)]
    return [
        (anchors.numpy().astype(np.float64), stride,
         (math.ceil(padded[0] / stride[1]), math.ceil(padded[1] / stride[0])))
        for anchors, stride in zip(generator.base_anchors, generator.strides, strict=True)]


def measure_coverage(table: TrainTable, model: Mapping[str, Any],
                     pipeline: list[Mapping[str, Any]]) -> Coverage:
    """Compare all boxes of a data set with the anchors that would be laid over their images.

    Args:
        table: of the data set, with at least one box.
        model: config of a detector with an RPN.
        pipeline: transforms of a test, for the size of the network's input.

    Returns:
        Best IoU and number of good anchors of each box, by class, then ``'all'``.
    """
    threshold = model['train_cfg']['rpn']['assigner']['pos_iou_thr']
    found: Coverage = {}
    for name in dict.fromkeys(table.cell_types.tolist()):
        of_class = table.cell_types == name
        parts = []
        for size in np.unique(table.sizes[of_class], axis=0).tolist():
            chosen = np.flatnonzero(of_class & (table.sizes == size).all(1))
            new_size = input_size(pipeline, *size)
            levels = anchor_levels(model, *new_size)
            boxes = _input_boxes(table, new_size, chosen)
            parts.append((best_anchor_ious(boxes, levels),
                          count_anchors(boxes, levels, threshold)))
        ious, good = map(np.concatenate, zip(*parts, strict=True))
        if len(ious):
            found[name] = (ious, good)
    ious, good = map(np.concatenate, zip(*found.values(), strict=True))
    return {**found, 'all': (ious, good)}


def format_coverage(coverage: Coverage, assigner: Mapping[str, Any]) -> str:
    """Lay the coverage out as two tables with a legend.

    Args:
        coverage: of :func:`measure_coverage`.
        assigner: config of the RPN's.
    """
    lines = [f'{"":10}{"boxes":>8}{"R@.5":>10}{"R@.7":>10}{"mean IoU":>10}{"anchors":>12}'
             f'{"only best":>12}{"none":>10}']
    lines += [_class_line(name, ious, good, assigner) for name, (ious, good) in coverage.items()]
    lines += [
        '', f'anchors: median number with IoU >= {assigner["pos_iou_thr"]}; only best: boxes '
        'without one, left to the low-quality match;', 'none: boxes whose best anchor is below '
        f'{assigner["min_pos_iou"]}, never learned from', '', 'share of boxes (%) by best IoU',
        f'{"":10}' + ''.join(f'{low:5.1f}-{low + 0.1:.1f}'[-8:] for low in BINS[:-1])]
    lines += [_histogram_line(name, ious) for name, (ious, _) in coverage.items()]
    return '\n'.join(lines)


def _input_boxes(table: TrainTable, new_size: tuple[int, int], chosen: np.ndarray) -> np.ndarray:
    """Scale the boxes of images of one size to the network's input.

    Returns:
        (N, 4) float64 xyxy.
    """
    height, width = table.sizes[chosen[0]]
    scale = np.array([new_size[1] / width, new_size[0] / height])
    boxes = [table.bboxes[table.instances(image)] for image in chosen]
    return np.concatenate(boxes) * np.tile(scale, 2)


def _histogram_line(name: str, ious: np.ndarray) -> str:
    """Write the share of boxes in each tenth of the best IoU, in percent."""
    shares = np.histogram(ious, BINS)[0] / max(len(ious), 1) * 100
    return f'{name:10}' + ''.join(f'{share:8.1f}' for share in shares)


def _class_line(name: str, ious: np.ndarray, good: np.ndarray, assigner: Mapping) -> str:
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

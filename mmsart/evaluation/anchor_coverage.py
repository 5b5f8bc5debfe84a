"""How well the anchors of a detector cover the cells of a data set, class by class."""
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmdet.datasets import BaseDetDataset
from mmdet.registry import TASK_UTILS

from mmsart.datasets.input_size import input_size
from mmsart.datasets.train_csv import TrainTable
from mmsart.evaluation.functional.anchor_recall import Level, best_anchor_ious, count_anchors

BINS = np.linspace(0, 1, 11)
Coverage = dict[str, tuple[np.ndarray, np.ndarray]]
"""By class: best IoU of each box, and number of anchors at or above the positive threshold."""


@dataclass(frozen=True)
class TrueBoxes:
    """The boxes of a data set.

    Attributes:
        names: str (N,), the class of each.
        sizes: int64 (N, 2), (h, w) in pixels of the image that it lies in.
        bboxes: float64 (N, 4), xyxy in pixels.
    """

    names: np.ndarray
    sizes: np.ndarray
    bboxes: np.ndarray

    @classmethod
    def from_table(cls, table: TrainTable) -> 'TrueBoxes':
        """Take all boxes of a ``train.csv``."""
        counts = np.diff(table.splits)
        return cls(np.repeat(table.cell_types, counts), np.repeat(table.sizes, counts, axis=0),
                   table.bboxes.astype(np.float64))

    @classmethod
    def from_datasets(cls, datasets: Iterable[BaseDetDataset]) -> 'TrueBoxes':
        """Take the boxes of mmdet's data sets, without those to ignore."""
        found = [(dataset.metainfo['classes'][each['bbox_label']],
                  (sample['height'], sample['width']), each['bbox'])
                 for dataset in datasets for sample in dataset.data_list
                 for each in sample['instances'] if not each.get('ignore_flag')]
        names, sizes, bboxes = zip(*found, strict=True) if found else ((), (), ())
        return cls(np.array(names, str), np.array(sizes, np.int64).reshape(-1, 2),
                   np.array(bboxes, np.float64).reshape(-1, 4))


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


def measure_coverage(boxes: TrueBoxes, model: Mapping[str, Any],
                     pipeline: list[Mapping[str, Any]]) -> Coverage:
    """Compare all boxes of a data set with the anchors that would be laid over their images.

    Args:
        boxes: of the data set, at least one.
        model: config of a detector with an RPN.
        pipeline: transforms of a test, for the size of the network's input.

    Returns:
        Best IoU and number of good anchors of each box, by class, then ``'all'``.
    """
    threshold = model['train_cfg']['rpn']['assigner']['pos_iou_thr']
    found: Coverage = {}
    for name in dict.fromkeys(boxes.names.tolist()):
        of_class = boxes.names == name
        parts = []
        for size in np.unique(boxes.sizes[of_class], axis=0).tolist():
            chosen = of_class & (boxes.sizes == size).all(1)
            new_size = input_size(pipeline, *size)
            levels = anchor_levels(model, *new_size)
            scale = np.array([new_size[1] / size[1], new_size[0] / size[0]])  # to the input's frame
            scaled = boxes.bboxes[chosen] * np.tile(scale, 2)
            parts.append((best_anchor_ious(scaled, levels),
                          count_anchors(scaled, levels, threshold)))
        ious, good = map(np.concatenate, zip(*parts, strict=True))
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

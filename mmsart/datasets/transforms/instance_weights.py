"""mmdet's transforms that leave cells out, with the weights that cells have in the losses."""
from typing import Any

import numpy as np
from mmdet.datasets.transforms import FilterAnnotations, PackDetInputs, RandomCrop
from mmdet.registry import TRANSFORMS

from mmsart.utils import UserError

IDS = 'gt_instances_ids'
"""The key by which mmdet's `RandomCrop` tells which cells are left."""


@TRANSFORMS.register_module()
class WeightedRandomCrop(RandomCrop):
    """Crop as mmdet's `RandomCrop` does, keep weights, and let cells that are cut count less.

    A cell of which a share s of the pixels is left in the crop has its weight multiplied by
    ``cut_weight + (1 - cut_weight) * s``: its outline ends where the crop does, which says little
    about cells.

    Required keys: those of `RandomCrop`, and ``gt_masks`` with a ``cut_weight`` below 1. Modified
    keys: those of `RandomCrop`, and ``gt_weights`` (float32) where it is there or cells are cut.

    Args:
        *args: see mmdet's `RandomCrop`.
        cut_weight: factor, in [0, 1], for a cell of which hardly anything is left; 1 changes none.
        **kwargs: see mmdet's `RandomCrop`.
    """

    def __init__(self, *args: Any, cut_weight: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not 0 <= cut_weight <= 1:
            raise UserError(f'WeightedRandomCrop: cut_weight: found {cut_weight!r}, expected a '
                            'number from 0 to 1')
        self.cut_weight = cut_weight

    def _crop_data(self, results: dict, crop_size: tuple[int, int],
                   allow_negative_crop: bool) -> dict | None:
        if 'gt_bboxes' not in results or (self.cut_weight == 1 and 'gt_weights' not in results):
            return super()._crop_data(results, crop_size, allow_negative_crop)
        count = len(results['gt_bboxes'])
        weights = results.pop('gt_weights', np.ones(count, np.float32))
        areas = results['gt_masks'].areas if self.cut_weight < 1 else None
        assert IDS not in results, f'{IDS} is for videos'
        cropped = super()._crop_data(
            {**results, IDS: np.arange(count)}, crop_size, allow_negative_crop)
        if cropped is None:
            return None
        kept = cropped.pop(IDS)
        cropped['gt_weights'] = weights[kept]
        if areas is not None:
            left = cropped['gt_masks'].areas / np.maximum(areas[kept], 1)
            factors = self.cut_weight + (1 - self.cut_weight) * left
            cropped['gt_weights'] = cropped['gt_weights'] * factors.astype(np.float32)
        return cropped


@TRANSFORMS.register_module()
class WeightedFilterAnnotations(FilterAnnotations):
    """Leave out small cells as mmdet's `FilterAnnotations` does, and their weights with them.

    Arguments are those of mmdet's transform.
    """

    def transform(self, results: dict) -> dict | None:
        """Filter boxes, labels, masks, flags and ``gt_weights``."""
        weights = results.get('gt_weights')
        if weights is None:
            return super().transform(results)
        flags = results.get('gt_ignore_flags')
        # mmdet does not say which cells it keeps, but what it keeps of any flags.
        filtered = super().transform({**results, 'gt_ignore_flags': np.arange(len(weights))})
        if filtered is None:
            return None
        kept = filtered.pop('gt_ignore_flags')
        if flags is not None:
            filtered['gt_ignore_flags'] = flags[kept]
        return {**filtered, 'gt_weights': weights[kept]}


@TRANSFORMS.register_module()
class PackWeightedInputs(PackDetInputs):
    """Pack a sample as mmdet's `PackDetInputs` does, with ``gt_instances.weights``.

    Float32 (N,), what each cell counts in the losses of boxes and masks; left out where no cell has
    a weight of its own. Arguments are those of mmdet's transform.
    """

    mapping_table = {**PackDetInputs.mapping_table, 'gt_weights': 'weights'}

    def transform(self, results: dict) -> dict:
        """Pack the sample.

        Raises:
            UserError: a transform before has left out cells but not their weights.
        """
        weights, boxes = results.get('gt_weights'), results.get('gt_bboxes')
        if weights is not None and boxes is not None and len(weights) != len(boxes):
            raise UserError(
                f'{results.get("img_path")}: found {len(weights)} weights of {len(boxes)} cells: a '
                'transform leaves out cells and not their weights, expected WeightedRandomCrop and '
                'WeightedFilterAnnotations in the place of RandomCrop and FilterAnnotations')
        return super().transform(results)

"""One tile of an image, with the cells that are in it for the most part."""
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import autocast_box_type

from mmsart.datasets.transforms.instances import keep
from mmsart.imaging.tiles import even_grid


@TRANSFORMS.register_module()
class RandomTile(BaseTransform):
    """Cut one tile of a grid out of an image, drawn anew each time.

    A tile without cells is passed over; of an image without any nothing is left, and the data set
    draws another.

    Required keys: ``img``, ``gt_bboxes``, ``gt_bboxes_labels``, ``gt_ignore_flags`` and
    ``gt_masks`` (`CroppedMasks`). Modified keys: these, ``gt_weights`` where it is there, and
    ``img_shape``; boxes become those of what is left of the masks.

    Args:
        tile_size: (h, w) in pixels.
        counts: rows and columns of tiles, which overlap.
        min_visible: a cell is kept if more than this share of its pixels is in the tile, in [0, 1).
    """

    def __init__(self, tile_size: tuple[int, int], counts: tuple[int, int],
                 min_visible: float = 0.25) -> None:
        assert 0 <= min_visible < 1, min_visible
        self.tile_size = (tile_size[0], tile_size[1])
        self.counts = (counts[0], counts[1])
        self.min_visible = min_visible

    @cache_randomness
    def _order(self, count: int) -> list[int]:
        """Draw the order in which tiles are tried."""
        return np.random.permutation(count).tolist()

    @autocast_box_type()
    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Cut out a tile; None if no tile has a cell."""
        masks = results['gt_masks']
        tiles = even_grid(results['img'].shape[:2], self.tile_size, self.counts)
        for number in self._order(len(tiles)):
            left, top, right, bottom = tiles[number].box
            inside = masks.crop(np.array([left, top, right, bottom]))
            kept = np.flatnonzero(inside.areas > self.min_visible * masks.areas)
            if len(kept):
                break
        else:
            return None
        results['img'] = results['img'][top:bottom, left:right]
        results['img_shape'] = results['img'].shape[:2]
        results['gt_masks'] = inside[kept].tighten()
        boxes = results['gt_bboxes']
        results['gt_bboxes'] = results['gt_masks'].get_bboxes(type(boxes))
        keep(results, kept)
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(tile_size={self.tile_size}, counts={self.counts}, '
                f'min_visible={self.min_visible})')

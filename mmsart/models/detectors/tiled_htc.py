"""Hybrid Task Cascade that looks at an image tile by tile, each enlarged."""
from typing import Any

import mmcv
import numpy as np
import torch
import torch.nn.functional as F
from mmdet.models.detectors import BaseDetector, HybridTaskCascade
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from mmsart.imaging.tiles import Tile, even_grid
from mmsart.structures.mask.cropped_masks import as_cropped
from mmsart.utils import UserError

ALIGNMENT = 32  # pixels: tiles are padded to multiples, as images are


class TiledPrediction(BaseDetector):
    """A detector whose test shows it enlarged tiles of an image.

    Tiles overlap, and each answers for the cells whose centre is nearer to its own middle than to
    its neighbours': of the cells that several tiles see, one is kept, without comparing them. The
    training is the detector's own, on tiles (`RandomTile`). Images have to come at their own size.

    Args:
        *args: of the detector.
        tile_size: (h, w) in pixels of the image.
        tile_counts: rows and columns of tiles.
        tile_scale: (w, h) into which a tile is enlarged, its aspect ratio kept.
        tiles_per_batch: computed together.
        **kwargs: of the detector.
    """

    def __init__(self, *args: Any, tile_size: tuple[int, int], tile_counts: tuple[int, int],
                 tile_scale: tuple[int, int], tiles_per_batch: int = 4, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tile_size, self.tile_counts = tile_size, tile_counts
        self.tile_scale, self.tiles_per_batch = tuple(tile_scale), tiles_per_batch

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList,
                rescale: bool = True) -> SampleList:
        """Detect cells.

        Args:
            batch_inputs: normalised and padded images, (B, 3, H, W).
            batch_data_samples: meta information of each image.
            rescale: of no effect, as the images have their own size.

        Returns:
            ``batch_data_samples`` with ``pred_instances``.

        Raises:
            UserError: an image was resized.
        """
        for image, sample in zip(batch_inputs, batch_data_samples, strict=True):
            size = tuple(sample.img_shape[:2])
            if size != tuple(sample.ori_shape[:2]):
                raise UserError(f'{type(self).__name__}: found an image resized from '
                                f'{sample.ori_shape[:2]} to {size}, expected it at its own size')
            tiles = even_grid(size, self.tile_size, self.tile_counts)
            sample.pred_instances = InstanceData.cat([
                found for begin in range(0, len(tiles), self.tiles_per_batch)
                for found in self._look(image, tiles[begin:begin + self.tiles_per_batch], size)])
        return batch_data_samples

    def _look(self, image: Tensor, tiles: list[Tile], size: tuple[int, int]) -> list[InstanceData]:
        """Detect cells in some tiles of one size, and move those they answer for to their place."""
        left, top, right, bottom = tiles[0].box
        height, width = bottom - top, right - left
        new_width, new_height = mmcv.rescale_size((width, height), self.tile_scale)
        enlarged = F.interpolate(
            torch.stack([image[:, tile.box[1]:tile.box[3], tile.box[0]:tile.box[2]]
                         for tile in tiles]),
            size=(new_height, new_width), mode='bilinear', align_corners=False)
        padded = F.pad(enlarged, (0, -new_width % ALIGNMENT, 0, -new_height % ALIGNMENT))
        shape = tuple(padded.shape[-2:])
        samples = [
            DetDataSample(metainfo=dict(
                img_shape=(new_height, new_width), ori_shape=(height, width), pad_shape=shape,
                batch_input_shape=shape, scale_factor=(new_width / width, new_height / height)))
            for _ in tiles]
        return [self._own_cells(found.pred_instances, tile, size) for found, tile in zip(
            super().predict(padded, samples, rescale=True), tiles, strict=True)]

    @staticmethod
    def _own_cells(found: InstanceData, tile: Tile, size: tuple[int, int]) -> InstanceData:
        """Keep the cells whose box has its centre in the tile's core."""
        left, top, right, bottom = tile.box
        boxes = found.bboxes + found.bboxes.new_tensor([left, top, left, top])
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        core = boxes.new_tensor(tile.core)
        own = ((centres >= core[:2]) & (centres < core[2:])).all(1)
        masks = as_cropped(found.masks, bottom - top, right - left)
        return InstanceData(
            bboxes=boxes[own], scores=found.scores[own], labels=found.labels[own],
            masks=masks[np.flatnonzero(own.cpu().numpy())].expand(*size, top, left))


@MODELS.register_module()
class TiledHTC(TiledPrediction, HybridTaskCascade):
    """`HybridTaskCascade` that looks at tiles in a test; see :class:`TiledPrediction`."""

"""Storage and geometry of masks that are kept inside their own boxes."""
import mmcv
import numpy as np
from mmdet.structures.mask import BaseInstanceMasks
from mmdet.structures.mask.structures import get_offsets_hv
from typing_extensions import Self

from mmsart.structures.mask.coco_counts import exclusive_cumsum
from mmsart.structures.mask.geometry import (
    nearest_map,
    rotation_matrix,
    shear_matrix,
    via_bitmaps,
    warp_patches,
)
from mmsart.structures.mask.patches import box_sizes, gather_patches, patches_to_runs
from mmsart.structures.mask.rle import Runs, run_boxes


class PatchMasks(BaseInstanceMasks):
    """Hold patches and transform them with the bits of mmdet's `BitmapMasks`.

    The base of `CroppedMasks`, which tells what the arrays are.

    Args:
        data: uint8 (P,), the pixels of patch after patch.
        boxes: int (N, 4), half-open pixel boxes xyxy inside the image.
        height: image height in pixels.
        width: image width in pixels.
    """

    def __init__(self, data: np.ndarray, boxes: np.ndarray, height: int, width: int) -> None:
        boxes = np.asarray(boxes, np.int32).reshape(-1, 4)
        heights, widths = box_sizes(boxes)
        empty = (heights <= 0) | (widths <= 0)
        if empty.any():
            boxes = np.where(empty[:, None], np.int32(0), boxes)
        self.offsets = exclusive_cumsum(np.where(empty, 0, heights * widths))
        assert len(data) == self.offsets[-1], (
            f'boxes hold {self.offsets[-1]} pixels, data {len(data)}')
        assert not len(boxes) or (
            boxes.min() >= 0 and boxes[:, 2].max() <= width and boxes[:, 3].max() <= height
        ), f'boxes leave the image of {height} x {width} pixels'
        self.data, self.boxes = data, boxes
        self.height, self.width = int(height), int(width)

    @classmethod
    def empty(cls, height: int, width: int) -> Self:
        """Make a set of no masks for an image of this size."""
        return cls(np.zeros(0, np.uint8), np.zeros((0, 4), np.int32), height, width)

    def patch(self, index: int) -> np.ndarray:
        """View the pixels of one mask inside its box.

        Args:
            index: which mask.

        Returns:
            uint8 (box height, box width), a view of the data; (0, 0) for an empty mask.
        """
        index = range(len(self))[index]
        x1, y1, x2, y2 = self.boxes[index].tolist()
        return self.data[self.offsets[index]:self.offsets[index + 1]].reshape(y2 - y1, x2 - x1)

    def to_runs(self) -> Runs:
        """Read the row-major runs of the masks."""
        return patches_to_runs(self.data, self.boxes, self.width)

    def tighten(self) -> Self:
        """Shrink the boxes to the masks' own extent."""
        boxes = run_boxes(self.to_runs(), self.width)[0].astype(np.int32)
        return self._gather(boxes, np.arange(self.height), np.arange(self.width), self.height,
                            self.width)

    def __len__(self) -> int:
        return len(self.boxes)

    def rescale(self, scale: float | tuple[int, int],
                interpolation: str = 'nearest') -> Self:
        """Resize with the aspect ratio kept; see `BaseInstanceMasks.rescale`."""
        width, height = mmcv.rescale_size((self.width, self.height), scale)
        return self.resize((height, width), interpolation)

    def resize(self, out_shape: tuple[int, int],
               interpolation: str = 'nearest') -> Self:
        """Resize to (h, w); see `BaseInstanceMasks.resize`."""
        height, width = out_shape
        if interpolation != 'nearest':
            return via_bitmaps(self, 'resize', out_shape, interpolation=interpolation)
        rows, columns = nearest_map(self.height, height), nearest_map(self.width, width)
        boxes = np.empty_like(self.boxes)
        boxes[:, 0::2] = np.searchsorted(columns, self.boxes[:, 0::2])
        boxes[:, 1::2] = np.searchsorted(rows, self.boxes[:, 1::2])
        return self._gather(boxes, rows, columns, height, width)

    def flip(self, flip_direction: str = 'horizontal') -> Self:
        """Flip 'horizontal', 'vertical' or 'diagonal' (both)."""
        assert flip_direction in ('horizontal', 'vertical', 'diagonal'), flip_direction
        rows: np.ndarray = np.arange(self.height)
        columns: np.ndarray = np.arange(self.width)
        boxes = self.boxes.copy()
        if flip_direction != 'vertical':
            columns = columns[::-1]
            boxes[:, 0::2] = self.width - boxes[:, 2::-2]
        if flip_direction != 'horizontal':
            rows = rows[::-1]
            boxes[:, 1::2] = self.height - boxes[:, 3::-2]
        return self._gather(boxes, rows, columns, self.height, self.width)

    def pad(self, out_shape: tuple[int, int], pad_val: int = 0) -> Self:
        """Pad on the right and below to (h, w); see `BaseInstanceMasks.pad`."""
        height, width = out_shape
        assert not len(self) or (height >= self.height and width >= self.width), (
            f'cannot pad {self.height} x {self.width} to {height} x {width}')
        if pad_val:
            return via_bitmaps(self, 'pad', out_shape, pad_val=pad_val)
        return type(self)(self.data, self.boxes, height, width)

    def crop(self, bbox: np.ndarray) -> Self:
        """Cut the image down to a box, int (4,) xyxy; see `BaseInstanceMasks.crop`."""
        x1, x2 = np.clip(bbox[0::2], 0, self.width).tolist()
        y1, y2 = np.clip(bbox[1::2], 0, self.height).tolist()
        width, height = max(x2 - x1, 1), max(y2 - y1, 1)
        return self._move(-x1, -y1, height, width)

    def expand(self, expanded_h: int, expanded_w: int, top: int, left: int) -> Self:
        """Put the image into a larger one; see `BaseInstanceMasks.expand`."""
        boxes = self.boxes + np.array([left, top, left, top], np.int32)
        return type(self)(self.data, boxes, expanded_h, expanded_w)

    def translate(self, out_shape: tuple[int, int], offset: float | tuple[float, float],
                  direction: str = 'horizontal', border_value: int = 0,
                  interpolation: str = 'bilinear') -> Self:
        """Move the masks, on a canvas of `out_shape` (h, w); see `BaseInstanceMasks.translate`.

        As in mmdet, the masks are cut to `out_shape` first and moved then.
        """
        height, width = out_shape
        right, down = get_offsets_hv(offset, direction)
        if border_value or right != int(right) or down != int(down):
            return via_bitmaps(self, 'translate', out_shape, offset, direction, border_value,
                               interpolation)
        return self._move(0, 0, height, width)._move(int(right), int(down), height, width)

    def shear(self, out_shape: tuple[int, int], magnitude: float, direction: str = 'horizontal',
              border_value: int = 0, interpolation: str = 'bilinear') -> Self:
        """Shear the masks; `out_shape` is their own; see `BaseInstanceMasks.shear`."""
        matrix = shear_matrix(magnitude, direction)
        return self._warp('shear', matrix, out_shape, border_value, interpolation,
                          (magnitude, direction))

    def rotate(self, out_shape: tuple[int, int], angle: float,
               center: tuple[float, float] | None = None, scale: float = 1.0,
               border_value: int = 0, interpolation: str = 'bilinear') -> Self:
        """Rotate the masks; `out_shape` is their own; see `BaseInstanceMasks.rotate`."""
        matrix = rotation_matrix((self.height, self.width), angle, center, scale)
        return self._warp('rotate', matrix, out_shape, border_value, interpolation,
                          (angle, center, scale))

    def erase(self, region: np.ndarray) -> Self:
        """Take a region away from every mask.

        Args:
            region: bool (height, width).

        Returns:
            The rest of each mask, in the same boxes.
        """
        kept = [self.patch(i) * ~region[y1:y2, x1:x2]
                for i, (x1, y1, x2, y2) in enumerate(self.boxes.tolist())]
        data = np.concatenate([np.zeros(0, np.uint8), *(patch.ravel() for patch in kept)])
        return type(self)(data, self.boxes, self.height, self.width)

    def warp_affine(self, matrix: np.ndarray, out_shape: tuple[int, int]) -> Self:
        """Warp as `cv2.warpAffine` does in fixed point, bilinear, with zeros around.

        Args:
            matrix: float64 (2, 3), old coordinates (x, y) to new ones.
            out_shape: (h, w) of the new image.

        Returns:
            N masks.
        """
        return type(self)(*warp_patches(self, matrix, out_shape), *out_shape).tighten()

    def _gather(self, boxes: np.ndarray, rows: np.ndarray, columns: np.ndarray, height: int,
                width: int) -> Self:
        """Look up new patches in `boxes`, pixel (y, x) at the old (rows[y], columns[x])."""
        data = gather_patches(self.data, self.boxes, boxes, rows, columns)
        return type(self)(data, boxes, height, width)

    def _move(self, right: int, down: int, height: int, width: int) -> Self:
        """Move by whole pixels into an image of another size, and cut off what leaves it."""
        moved = self.boxes + np.array([right, down, right, down], np.int32)
        boxes = np.clip(moved, 0, np.array([width, height, width, height], np.int32))
        if (boxes == moved).all():
            return type(self)(self.data, boxes, height, width)
        return self._gather(boxes, np.arange(height) - down, np.arange(width) - right,
                            height, width)

    def _warp(self, method: str, matrix: np.ndarray, out_shape: tuple[int, int],
              border_value: int, interpolation: str, arguments: tuple) -> Self:
        """Warp patches where OpenCV's fixed point applies, bitmaps elsewhere."""
        if not len(self):
            return type(self).empty(*out_shape)
        assert tuple(out_shape) == (self.height, self.width), (
            f'{method} keeps the size {self.height} x {self.width}, expected {out_shape}')
        if border_value or interpolation != 'bilinear':
            return via_bitmaps(self, method, out_shape, *arguments, border_value=border_value,
                               interpolation=interpolation)
        return self.warp_affine(matrix, out_shape)

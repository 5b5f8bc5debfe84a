"""Instance masks that are kept inside their own boxes."""
from collections.abc import Iterator, Sequence
from typing import Any

import mmcv
import numpy as np
import torch
from mmdet.structures.bbox import BaseBoxes, HorizontalBoxes
from mmdet.structures.mask import BaseInstanceMasks, BitmapMasks
from mmdet.structures.mask.structures import get_offsets_hv
from pycocotools import mask as coco_mask

from mmsart.structures.mask.coco_counts import exclusive_cumsum, ragged_arange
from mmsart.structures.mask.geometry import (
    FLOAT_CHANNELS,
    nearest_map,
    rotation_matrix,
    shear_matrix,
    via_bitmaps,
    warp_patches,
)
from mmsart.structures.mask.patches import (
    box_sizes,
    decode_rles,
    gather_patches,
    patches_to_runs,
    runs_to_patches,
    transpose_patches,
)
from mmsart.structures.mask.rle import Runs, run_boxes, runs_to_coco
from mmsart.structures.mask.roi_targets import roi_targets


class CroppedMasks(BaseInstanceMasks):
    """Hold each mask as a patch and its place, so that masks cost what cells cost.

    The interface is that of mmdet's `BitmapMasks`, and so is every bit of the results (exceptions
    are listed in docs/masks.md). Instances share their arrays with the masks they were made from:
    treat the arrays as read-only.

    Args:
        data: uint8 (P,), the 0/1 pixels of patch after patch, each row by row.
        boxes: int (N, 4), half-open pixel boxes xyxy inside the image. A box holds its mask but
            need not be tight. Boxes without area become all zero.
        height: image height in pixels.
        width: image width in pixels.

    Attributes:
        data: as given.
        boxes: int32 (N, 4).
        offsets: int64 (N + 1,), the patch of mask i is ``data[offsets[i]:offsets[i + 1]]``.
        height, width: as given.

    Example:
        >>> masks = CroppedMasks(np.ones(6, np.uint8), np.array([[1, 0, 4, 2]]), 3, 5)
        >>> masks.to_ndarray()[0]
        array([[0, 1, 1, 1, 0],
               [0, 1, 1, 1, 0],
               [0, 0, 0, 0, 0]], dtype=uint8)
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
    def from_runs(cls, runs: Runs, height: int, width: int) -> 'CroppedMasks':
        """Make masks from row-major runs; the boxes are tight.

        Args:
            runs: one entry a mask, valid for the image.
            height: image height in pixels.
            width: image width in pixels.

        Returns:
            N masks.
        """
        return cls(*runs_to_patches(runs, width), height, width)

    @classmethod
    def from_rles(cls, rles: Sequence[dict[str, Any]], height: int, width: int) -> 'CroppedMasks':
        """Make masks from transposed COCO RLE (``size`` is [width, height]).

        Args:
            rles: compressed codes, one a mask.
            height: image height in pixels.
            width: image width in pixels.

        Returns:
            N masks with tight boxes.
        """
        for rle in rles:
            assert list(rle['size']) == [width, height], (
                f'RLE of size {rle["size"]}, expected the transposed [{width}, {height}]')
        return cls.from_runs(decode_rles(rles), height, width)

    @classmethod
    def from_coco(cls, segmentations: Sequence[Any], height: int, width: int) -> 'CroppedMasks':
        """Make masks from COCO annotations.

        Args:
            segmentations: for each mask a list of polygons ``[x1, y1, x2, y2, ...]`` whose union
                it is, or an RLE dict whose ``counts`` are a list, text or bytes.
            height: image height in pixels.
            width: image width in pixels.

        Returns:
            N masks with tight boxes.
        """
        rles = []
        for segmentation in segmentations:
            if isinstance(segmentation, list):
                segmentation = coco_mask.merge(
                    coco_mask.frPyObjects(segmentation, height, width))
            elif isinstance(segmentation['counts'], list):
                segmentation = coco_mask.frPyObjects(segmentation, height, width)
            rles.append(segmentation)
        columns = runs_to_patches(decode_rles(rles), height)  # COCO's codes run down columns
        return cls(*transpose_patches(*columns), height, width)

    @classmethod
    def from_bitmaps(cls, bitmaps: np.ndarray) -> 'CroppedMasks':
        """Make masks from full-size bitmaps.

        Args:
            bitmaps: (N, height, width), any dtype, non-zero inside.

        Returns:
            N masks with tight boxes.
        """
        bitmaps = np.asarray(bitmaps)
        _, height, width = bitmaps.shape
        boxes = np.zeros((len(bitmaps), 4), np.int32)
        patches = [np.zeros(0, np.uint8)]
        for box, bitmap in zip(boxes, bitmaps, strict=True):
            rows = np.flatnonzero(bitmap.any(axis=1))
            if len(rows):
                columns = np.flatnonzero(bitmap[rows[0]:rows[-1] + 1].any(axis=0))
                box[:] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
                patch = bitmap[box[1]:box[3], box[0]:box[2]] != 0
                patches.append(patch.ravel().view(np.uint8))
        return cls(np.concatenate(patches), boxes, height, width)

    @classmethod
    def empty(cls, height: int, width: int) -> 'CroppedMasks':
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

    def to_rles(self) -> list[dict[str, Any]]:
        """Encode the masks as transposed COCO RLE (``size`` is [width, height])."""
        return runs_to_coco(self.to_runs(), self.height, self.width)

    def to_ndarray(self) -> np.ndarray:
        """Paint the masks into full-size bitmaps.

        Returns:
            uint8 (N, height, width).
        """
        bitmaps = np.zeros((len(self), self.height, self.width), np.uint8)
        for i, (x1, y1, x2, y2) in enumerate(self.boxes.tolist()):
            bitmaps[i, y1:y2, x1:x2] = self.patch(i)
        return bitmaps

    def to_tensor(self, dtype: torch.dtype, device: torch.device | str) -> torch.Tensor:
        """Paint the masks into a full-size tensor.

        Args:
            dtype: of the tensor.
            device: of the tensor.

        Returns:
            (N, height, width).
        """
        return torch.tensor(self.to_ndarray(), dtype=dtype, device=device)

    def astype(self, dtype: type | str) -> np.ndarray:
        """Paint the masks into full-size bitmaps of a type: what mmdet's visualizer asks for."""
        return self.to_ndarray().astype(dtype)

    @property
    def areas(self) -> np.ndarray:
        """int64 (N,): pixels of each mask."""
        sums = np.zeros(len(self), np.int64)
        filled = np.flatnonzero(np.diff(self.offsets))
        if len(filled):
            sums[filled] = np.add.reduceat(self.data, self.offsets[filled], dtype=np.int64)
        return sums

    def get_bboxes(self, dst_type: str | type = 'hbox') -> BaseBoxes:
        """Compute tight boxes of the masks; all zero for a mask without pixels.

        Args:
            dst_type: name or class of mmdet's box type.

        Returns:
            N boxes of this type.
        """
        tight = run_boxes(self.to_runs(), self.width)[0]
        return HorizontalBoxes(tight.astype(np.float32)).convert_to(dst_type)

    def tighten(self) -> 'CroppedMasks':
        """Shrink the boxes to the masks' own extent."""
        boxes = run_boxes(self.to_runs(), self.width)[0].astype(np.int32)
        return self._gather(boxes, np.arange(self.height), np.arange(self.width), self.height,
                            self.width)

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Any) -> 'CroppedMasks':
        """Select masks by int, slice, or an array, list or tensor of ints or bools."""
        if isinstance(index, torch.Tensor):
            index = index.cpu().numpy()
        chosen = np.arange(len(self))[index].reshape(-1)
        first = chosen[0] if len(chosen) else 0
        if (chosen == np.arange(first, first + len(chosen))).all():  # neighbours share the data
            begin, end = self.offsets[first], self.offsets[first + len(chosen)]
            data = self.data[begin:end]
        else:
            sizes = np.diff(self.offsets)[chosen]
            data = self.data[ragged_arange(sizes) + np.repeat(self.offsets[chosen], sizes)]
        return CroppedMasks(data, self.boxes[chosen], self.height, self.width)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield full-size bitmaps, uint8 (height, width), one at a time."""
        return (self[i].to_ndarray()[0] for i in range(len(self)))

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(num_masks={len(self)}, height={self.height}, '
                f'width={self.width})')

    @classmethod
    def cat(cls, masks: Sequence['CroppedMasks']) -> 'CroppedMasks':
        """Concatenate masks of images of one size."""
        if not len(masks):
            raise ValueError('masks should not be an empty list.')
        sizes = {(mask.height, mask.width) for mask in masks}
        assert len(sizes) == 1, f'expected masks of one image size, found {sorted(sizes)}'
        return cls(np.concatenate([mask.data for mask in masks]),
                   np.concatenate([mask.boxes for mask in masks]), *sizes.pop())

    def rescale(self, scale: float | tuple[int, int],
                interpolation: str = 'nearest') -> 'CroppedMasks':
        """Resize with the aspect ratio kept; see `BaseInstanceMasks.rescale`."""
        width, height = mmcv.rescale_size((self.width, self.height), scale)
        return self.resize((height, width), interpolation)

    def resize(self, out_shape: tuple[int, int],
               interpolation: str = 'nearest') -> 'CroppedMasks':
        """Resize to (h, w); see `BaseInstanceMasks.resize`."""
        height, width = out_shape
        if interpolation != 'nearest':
            return via_bitmaps(self, 'resize', out_shape, interpolation=interpolation)
        rows, columns = nearest_map(self.height, height), nearest_map(self.width, width)
        boxes = np.empty_like(self.boxes)
        boxes[:, 0::2] = np.searchsorted(columns, self.boxes[:, 0::2])
        boxes[:, 1::2] = np.searchsorted(rows, self.boxes[:, 1::2])
        return self._gather(boxes, rows, columns, height, width)

    def flip(self, flip_direction: str = 'horizontal') -> 'CroppedMasks':
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

    def pad(self, out_shape: tuple[int, int], pad_val: int = 0) -> 'CroppedMasks':
        """Pad on the right and below to (h, w); see `BaseInstanceMasks.pad`."""
        height, width = out_shape
        assert not len(self) or (height >= self.height and width >= self.width), (
            f'cannot pad {self.height} x {self.width} to {height} x {width}')
        if pad_val:
            return via_bitmaps(self, 'pad', out_shape, pad_val=pad_val)
        return CroppedMasks(self.data, self.boxes, height, width)

    def crop(self, bbox: np.ndarray) -> 'CroppedMasks':
        """Cut the image down to a box, int (4,) xyxy; see `BaseInstanceMasks.crop`."""
        x1, x2 = np.clip(bbox[0::2], 0, self.width).tolist()
        y1, y2 = np.clip(bbox[1::2], 0, self.height).tolist()
        width, height = max(x2 - x1, 1), max(y2 - y1, 1)
        return self._move(-x1, -y1, height, width)

    def expand(self, expanded_h: int, expanded_w: int, top: int, left: int) -> 'CroppedMasks':
        """Put the image into a larger one; see `BaseInstanceMasks.expand`."""
        boxes = self.boxes + np.array([left, top, left, top], np.int32)
        return CroppedMasks(self.data, boxes, expanded_h, expanded_w)

    def translate(self, out_shape: tuple[int, int], offset: float | tuple[float, float],
                  direction: str = 'horizontal', border_value: int = 0,
                  interpolation: str = 'bilinear') -> 'CroppedMasks':
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
              border_value: int = 0, interpolation: str = 'bilinear') -> 'CroppedMasks':
        """Shear the masks; `out_shape` is their own; see `BaseInstanceMasks.shear`."""
        matrix = shear_matrix(magnitude, direction)
        return self._warp('shear', matrix, out_shape, border_value, interpolation,
                          (magnitude, direction))

    def rotate(self, out_shape: tuple[int, int], angle: float,
               center: tuple[float, float] | None = None, scale: float = 1.0,
               border_value: int = 0, interpolation: str = 'bilinear') -> 'CroppedMasks':
        """Rotate the masks; `out_shape` is their own; see `BaseInstanceMasks.rotate`."""
        matrix = rotation_matrix((self.height, self.width), angle, center, scale)
        return self._warp('rotate', matrix, out_shape, border_value, interpolation,
                          (angle, center, scale))

    def crop_and_resize(self, bboxes: np.ndarray | torch.Tensor, out_shape: tuple[int, int],
                        inds: np.ndarray | torch.Tensor, device: torch.device | str = 'cpu',
                        interpolation: str = 'bilinear', binarize: bool = True) -> BitmapMasks:
        """Sample masks inside boxes by RoIAlign; see `BaseInstanceMasks.crop_and_resize`.

        Args:
            bboxes: float (M, 4) xyxy in the image.
            out_shape: (h, w) of the samples.
            inds: int (M,), mask of each box.
            device: where to compute.
            interpolation: not used, as in mmdet.
            binarize: whether to give bool (value >= 0.5) rather than float.

        Returns:
            M masks of `out_shape`, as bitmaps, for they fill their small image.
        """
        if not len(self) or not len(bboxes):
            return BitmapMasks(np.empty((0, *out_shape), np.uint8), *out_shape)
        targets = roi_targets(self, torch.as_tensor(bboxes, device=device),
                              torch.as_tensor(inds, device=device), out_shape)
        samples = targets >= 0.5 if binarize else targets
        return BitmapMasks(samples.cpu().numpy(), *out_shape)

    def _gather(self, boxes: np.ndarray, rows: np.ndarray, columns: np.ndarray, height: int,
                width: int) -> 'CroppedMasks':
        """Look up new patches in `boxes`, pixel (y, x) at the old (rows[y], columns[x])."""
        data = gather_patches(self.data, self.boxes, boxes, rows, columns)
        return CroppedMasks(data, boxes, height, width)

    def _move(self, right: int, down: int, height: int, width: int) -> 'CroppedMasks':
        """Move by whole pixels into an image of another size, and cut off what leaves it."""
        moved = self.boxes + np.array([right, down, right, down], np.int32)
        boxes = np.clip(moved, 0, np.array([width, height, width, height], np.int32))
        if (boxes == moved).all():
            return CroppedMasks(self.data, boxes, height, width)
        return self._gather(boxes, np.arange(height) - down, np.arange(width) - right,
                            height, width)

    def _warp(self, method: str, matrix: np.ndarray, out_shape: tuple[int, int],
              border_value: int, interpolation: str, arguments: tuple) -> 'CroppedMasks':
        """Warp patches where OpenCV's fixed point applies, bitmaps elsewhere."""
        if not len(self):
            return CroppedMasks.empty(*out_shape)
        assert tuple(out_shape) == (self.height, self.width), (
            f'{method} keeps the size {self.height} x {self.width}, expected {out_shape}')
        if border_value or interpolation != 'bilinear' or len(self) in FLOAT_CHANNELS:
            return via_bitmaps(self, method, out_shape, *arguments, border_value=border_value,
                               interpolation=interpolation)
        return CroppedMasks(*warp_patches(self, matrix, out_shape), *out_shape).tighten()


def as_cropped(masks: Any, height: int, width: int) -> CroppedMasks:
    """Turn any masks that a detector or a dataset may hand over into `CroppedMasks`.

    Args:
        masks: `CroppedMasks`, `BitmapMasks`, an array or tensor (N, height, width), non-zero
            inside, or a list of transposed COCO RLE.
        height: image height in pixels.
        width: image width in pixels.

    Returns:
        The same masks; the very object if it is of this class already.
    """
    if isinstance(masks, list):
        return CroppedMasks.from_rles(masks, height, width)
    if not isinstance(masks, CroppedMasks):
        if isinstance(masks, BaseInstanceMasks):
            masks = masks.to_ndarray()
        elif isinstance(masks, torch.Tensor):
            masks = masks.detach().cpu().numpy()
        masks = CroppedMasks.from_bitmaps(masks)
    assert (masks.height, masks.width) == (height, width), (
        f'masks of {masks.height} x {masks.width} pixels, expected {height} x {width}')
    return masks

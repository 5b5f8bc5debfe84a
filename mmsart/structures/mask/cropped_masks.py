"""Box-local masks with the interface of mmdet's."""
from typing import Any

import mmcv
import numpy as np
import torch
from mmdet.structures.bbox import BaseBoxes, HorizontalBoxes
from mmdet.structures.mask import BaseInstanceMasks, BitmapMasks
from mmdet.structures.mask.structures import get_offsets_hv
from typing_extensions import Self

from mmsart.structures.mask.geometry import (
    nearest_map,
    rotation_matrix,
    shear_matrix,
    warp_patches,
)
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.roi_targets import roi_targets
from mmsart.structures.mask.runs import run_boxes


class CroppedMasks(PatchMasks, BaseInstanceMasks):
    """`PatchMasks` with the interface and the bits of mmdet's `BitmapMasks`.

    Masks cost what cells cost, from the annotation to the prediction. Exceptions from mmdet's
    results are listed in docs/masks.md.
    """

    def __getitem__(self, index: Any) -> Self:
        """Select masks by int, slice, or an array, list or tensor of ints or bools."""
        if isinstance(index, torch.Tensor):
            index = index.cpu().numpy()
        return super().__getitem__(index)

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

    def get_bboxes(self, dst_type: str | type = 'hbox') -> BaseBoxes:
        """Compute tight boxes of the masks; all zero for a mask without pixels.

        Args:
            dst_type: name or class of mmdet's box type.

        Returns:
            N boxes of this type.
        """
        tight = run_boxes(self.to_runs(), self.width)[0]
        return HorizontalBoxes(tight.astype(np.float32)).convert_to(dst_type)

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
            return self._via_bitmaps('resize', out_shape, interpolation=interpolation)
        return self._pick(nearest_map(self.height, height), nearest_map(self.width, width))

    def subsample(self, step: int) -> Self:
        """Keep one pixel of every `step` rows and columns: ``[step // 2::step, step // 2::step]``.

        Args:
            step: in pixels.

        Returns:
            N masks of a smaller image.
        """
        rows = np.arange(step // 2, self.height, step)
        columns = np.arange(step // 2, self.width, step)
        return self._pick(rows, columns)

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
            return self._via_bitmaps('pad', out_shape, pad_val=pad_val)
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
            return self._via_bitmaps('translate', out_shape, offset, direction, border_value,
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

    def warp_affine(self, matrix: np.ndarray, out_shape: tuple[int, int]) -> Self:
        """Warp as `cv2.warpAffine` does in fixed point, bilinear, with zeros around.

        Args:
            matrix: float64 (2, 3), old coordinates (x, y) to new ones.
            out_shape: (h, w) of the new image.

        Returns:
            N masks.
        """
        return type(self)(*warp_patches(self, matrix, out_shape), *out_shape).tighten()

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

    def _pick(self, rows: np.ndarray, columns: np.ndarray) -> Self:
        """Make an image of these rows and columns, which are in ascending order."""
        boxes = np.empty_like(self.boxes)
        boxes[:, 0::2] = np.searchsorted(columns, self.boxes[:, 0::2])
        boxes[:, 1::2] = np.searchsorted(rows, self.boxes[:, 1::2])
        return self._gather(boxes, rows, columns, len(rows), len(columns))

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
            return self._via_bitmaps(method, out_shape, *arguments, border_value=border_value,
                               interpolation=interpolation)
        return self.warp_affine(matrix, out_shape)

    def _via_bitmaps(self, method: str, *args: Any, **kwargs: Any) -> Self:
        """Apply a method of `BitmapMasks`, to a few masks at a time.

        The exact way for what is rare: other interpolations, borders that are not zero. OpenCV
        takes the masks for channels and fills the border by channel number modulo 4, so that parts
        must begin at multiples of 4.
        """
        parts = []
        for begin in range(0, max(len(self), 1), 8):
            part = self[begin:begin + 8]
            bitmaps = BitmapMasks(part.to_ndarray(), self.height, self.width)
            parts.append(self.from_bitmaps(getattr(bitmaps, method)(*args, **kwargs).masks))
        return self.cat(parts)


def as_cropped(masks: Any, height: int, width: int) -> CroppedMasks:
    """Turn any masks that a detector or a dataset may hand over into `CroppedMasks`.

    Args:
        masks: `PatchMasks`, `BitmapMasks`, an array or tensor (N, height, width), non-zero
            inside, or a list of transposed COCO RLE.
        height: image height in pixels.
        width: image width in pixels.

    Returns:
        The same masks; the very object if it is of this class already.
    """
    if isinstance(masks, list):
        return CroppedMasks.from_rles(masks, height, width)
    if isinstance(masks, PatchMasks):
        masks = masks if isinstance(masks, CroppedMasks) else CroppedMasks.like(masks)
    else:
        if isinstance(masks, BaseInstanceMasks):
            masks = masks.to_ndarray()
        elif isinstance(masks, torch.Tensor):
            masks = masks.detach().cpu().numpy()
        masks = CroppedMasks.from_bitmaps(masks)
    assert (masks.height, masks.width) == (height, width), (
        f'masks of {masks.height} x {masks.width} pixels, expected {height} x {width}')
    return masks

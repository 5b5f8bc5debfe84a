"""Instance masks that are kept inside their own boxes."""
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmdet.structures.bbox import BaseBoxes, HorizontalBoxes
from mmdet.structures.mask import BaseInstanceMasks, BitmapMasks
from pycocotools import mask as coco_mask

from mmsart.structures.mask.coco_counts import ragged_arange
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.patches import decode_rles, runs_to_patches, transpose_patches
from mmsart.structures.mask.rle import Runs, run_boxes, runs_to_coco
from mmsart.structures.mask.roi_targets import roi_targets


class CroppedMasks(PatchMasks):
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

    def union(self) -> np.ndarray:
        """Paint all masks into one bitmap, bool (height, width)."""
        bitmap = np.zeros((self.height, self.width), np.uint8)
        for i, (x1, y1, x2, y2) in enumerate(self.boxes.tolist()):
            bitmap[y1:y2, x1:x2] |= self.patch(i)
        return bitmap.view(bool)

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

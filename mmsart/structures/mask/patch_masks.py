"""Instance masks that are kept inside their own boxes."""
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from typing_extensions import Self

from mmsart.structures.mask.coco_segmentations import decode_segmentations
from mmsart.structures.mask.patches import (
    box_sizes,
    gather_patches,
    patches_to_runs,
    runs_to_patches,
    transpose_patches,
)
from mmsart.structures.mask.ragged import exclusive_cumsum, ragged_arange
from mmsart.structures.mask.rle import decode_rles, parse_rles, runs_to_coco
from mmsart.structures.mask.runs import Runs, find_bad_runs, run_boxes


class PatchMasks:
    """Hold each mask as a patch and its place, so that masks cost what cells cost.

    Storage, selection and conversion, with numpy and pycocotools alone; every method that gives
    masks gives them in its own class. Sets of masks share their arrays with those they were made
    from: treat the arrays as read-only.

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
        >>> masks = PatchMasks(np.ones(6, np.uint8), np.array([[1, 0, 4, 2]]), 3, 5)
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
    def empty(cls, height: int, width: int) -> Self:
        """Make a set of no masks for an image of this size."""
        return cls(np.zeros(0, np.uint8), np.zeros((0, 4), np.int32), height, width)

    @classmethod
    def like(cls, masks: 'PatchMasks') -> Self:
        """Convert masks of any kind of patches to this class; the arrays are shared."""
        return cls(masks.data, masks.boxes, masks.height, masks.width)

    @classmethod
    def from_runs(cls, runs: Runs, height: int, width: int) -> Self:
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
    def from_rles(cls, rles: Sequence[dict[str, Any]], height: int, width: int) -> Self:
        """Make masks from transposed COCO RLE (``size`` is [width, height]).

        Args:
            rles: compressed codes, one per mask.
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
    def from_coco(cls, segmentations: Sequence[Any], height: int, width: int) -> Self:
        """Make masks from COCO annotations.

        Args:
            segmentations: for each mask a list of polygons ``[x1, y1, x2, y2, ...]`` whose union
                it is, or an RLE dict whose ``counts`` are a list, text or bytes.
            height: image height in pixels.
            width: image width in pixels.

        Returns:
            N masks with tight boxes.

        Raises:
            BadSegmentationError: a segmentation is malformed, or is none of this image.
        """
        runs = decode_segmentations(segmentations, height, width)
        columns = runs_to_patches(runs, height)  # COCO's codes run down columns
        return cls(*transpose_patches(*columns), height, width)

    @classmethod
    def from_annotations(cls, masks: Sequence[Any], height: int, width: int) -> Self:
        """Make masks from annotations as datasets hand them over.

        Args:
            masks: Kaggle's run-length codes, all of them text; else COCO's segmentations, see
                :meth:`from_coco`.
            height: image height in pixels.
            width: image width in pixels.

        Returns:
            N masks with tight boxes.

        Raises:
            BadRleError: a run-length code is malformed, or leaves the image.
            BadSegmentationError: a segmentation is malformed, or is none of this image.
        """
        if all(isinstance(mask, str) for mask in masks):
            runs = parse_rles(masks)
            bad = find_bad_runs(runs, height * width)
            if bad is not None:
                raise bad
            return cls.from_runs(runs, height, width)
        return cls.from_coco(masks, height, width)

    @classmethod
    def from_bitmaps(cls, bitmaps: np.ndarray) -> Self:
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
    def from_patches(cls, patches: Sequence[np.ndarray], boxes: np.ndarray, height: int,
                     width: int) -> Self:
        """Make masks from patches: the inverse of :meth:`patches`.

        Args:
            patches: N arrays (h_i, w_i) of 0 and 1.
            boxes: int (N, 4), half-open pixel boxes xyxy, as large as the patches.
            height: image height in pixels.
            width: image width in pixels.

        Returns:
            N masks. Boxes are kept as they are, also where a patch has an empty margin.
        """
        data = np.concatenate([np.zeros(0, np.uint8), *(patch.reshape(-1) for patch in patches)])
        return cls(data.astype(np.uint8, copy=False), boxes, height, width)

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

    def patches(self) -> list[np.ndarray]:
        """View the pixels of each mask inside its box, uint8 (h_i, w_i); see :meth:`patch`."""
        ends = self.offsets.tolist()
        return [
            self.data[begin:end].reshape(y2 - y1, x2 - x1)
            for begin, end, (x1, y1, x2, y2) in zip(
                ends[:-1], ends[1:], self.boxes.tolist(), strict=True)]

    def to_runs(self) -> Runs:
        """Read the row-major runs of the masks."""
        return patches_to_runs(self.data, self.boxes, self.width)

    def to_rles(self) -> list[dict[str, Any]]:
        """Encode the masks as transposed COCO RLE (``size`` is [width, height])."""
        return runs_to_coco(self.to_runs(), self.height, self.width)

    def to_coco(self) -> list[dict[str, Any]]:
        """Encode the masks as COCO annotations hold them: RLE of ``size`` [height, width]."""
        data, boxes = transpose_patches(self.data, self.boxes)  # COCO's codes run down columns
        return PatchMasks(data, boxes, self.width, self.height).to_rles()

    def to_ndarray(self) -> np.ndarray:
        """Paint the masks into full-size bitmaps.

        Returns:
            uint8 (N, height, width).
        """
        bitmaps = np.zeros((len(self), self.height, self.width), np.uint8)
        for i, (x1, y1, x2, y2) in enumerate(self.boxes.tolist()):
            bitmaps[i, y1:y2, x1:x2] = self.patch(i)
        return bitmaps

    def pixels(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """List the pixels of all masks.

        Returns:
            Of each pixel the index of its mask, its y and its x in the image, int64 (A,) each.
        """
        place = np.flatnonzero(self.data)
        owner = np.repeat(np.arange(len(self)), np.diff(np.searchsorted(place, self.offsets)))
        x1, y1, x2, _ = self.boxes[owner].T
        y, x = np.divmod(place - self.offsets[owner], x2 - x1)
        return owner, y + y1, x + x1

    @property
    def areas(self) -> np.ndarray:
        """int64 (N,): pixels of each mask."""
        sums = np.zeros(len(self), np.int64)
        filled = np.flatnonzero(np.diff(self.offsets))
        if len(filled):
            sums[filled] = np.add.reduceat(self.data, self.offsets[filled], dtype=np.int64)
        return sums

    @property
    def centroids(self) -> np.ndarray:
        """float64 (N, 2): mean x and y of the pixels' indices; 0 for a mask without pixels."""
        owner, y, x = self.pixels()
        sums = [np.bincount(owner, place, len(self)) for place in (x, y)]
        return np.stack(sums, axis=1) / np.maximum(self.areas, 1)[:, None]

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Any) -> Self:
        """Select masks by int, slice, or an array or list of ints or bools."""
        chosen = np.arange(len(self))[index].reshape(-1)
        first = chosen[0] if len(chosen) else 0
        if (chosen == np.arange(first, first + len(chosen))).all():  # neighbours share the data
            begin, end = self.offsets[first], self.offsets[first + len(chosen)]
            data = self.data[begin:end]
        else:
            sizes = np.diff(self.offsets)[chosen]
            data = self.data[ragged_arange(sizes) + np.repeat(self.offsets[chosen], sizes)]
        return type(self)(data, self.boxes[chosen], self.height, self.width)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield full-size bitmaps, uint8 (height, width), one at a time."""
        return (self[i].to_ndarray()[0] for i in range(len(self)))

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(num_masks={len(self)}, height={self.height}, '
                f'width={self.width})')

    @classmethod
    def cat(cls, masks: Sequence['PatchMasks']) -> Self:
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

    def tighten(self) -> Self:
        """Shrink the boxes to the masks' own extent."""
        boxes = run_boxes(self.to_runs(), self.width)[0].astype(np.int32)
        return self._gather(boxes, np.arange(self.height), np.arange(self.width), self.height,
                            self.width)

    def erase(self, region: np.ndarray) -> Self:
        """Take a region away from every mask.

        Args:
            region: bool (height, width).

        Returns:
            The rest of each mask, in the same boxes.
        """
        kept = [self.patch(i) * ~region[y1:y2, x1:x2]
                for i, (x1, y1, x2, y2) in enumerate(self.boxes.tolist())]
        return self.from_patches(kept, self.boxes, self.height, self.width)

    def _gather(self, boxes: np.ndarray, rows: np.ndarray, columns: np.ndarray, height: int,
                width: int) -> Self:
        """Look up new patches in `boxes`, pixel (y, x) at the old (rows[y], columns[x])."""
        data = gather_patches(self.data, self.boxes, boxes, rows, columns)
        return type(self)(data, boxes, height, width)

"""Mask targets of regions of interest, cut from patches instead of full-size bitmaps.

Stock mmdet copies one full-size bitmap a RoI and runs RoIAlign on the stack. The same numbers need
only the pixels under the sampling points: each point reads its four neighbours in the flat patch
buffer, and what lies outside the instance's patch is zero. Coordinates stay in the image frame and
every float operation keeps RoIAlign's order, so that the targets are the same bits on the CPU.

On a GPU pixels are cheap and launches are not: there the bitmaps are painted, each once, and mmcv's
RoIAlign reads them.
"""
from collections.abc import Iterator

import numpy as np
import torch
from mmcv.ops import roi_align
from torch import Tensor

from mmsart.structures.mask.patch_masks import PatchMasks

CHUNK_BINS = 1 << 16  # bins computed at a time on the CPU: temporaries stay in the cache
CHUNK_PIXELS = 1 << 26  # pixels of bitmaps at a time on a GPU: 268 MB


def roi_targets(
    masks: PatchMasks, bboxes: Tensor, inds: Tensor, out_shape: tuple[int, int],
) -> Tensor:
    """Average each instance's mask over the bins of its RoI, as RoIAlign does.

    Equal to ``roi_align(bitmaps[inds], bboxes, out_shape, 1.0, 0, 'avg', True)`` of mmcv: every
    bin is the mean of ceil(bin height) x ceil(bin width) bilinear samples.

    Args:
        masks: instances of one image.
        bboxes: float (R, 4), RoIs xyxy in pixels of the masks' image; any device.
        inds: int64 (R,), the instance of each RoI.
        out_shape: bins of a target, (h, w).

    Returns:
        float32 (R, h, w) on the device of ``bboxes``, between 0 and 1.
    """
    bboxes = bboxes.detach().float()
    if not len(bboxes) or not len(masks.data):
        return bboxes.new_zeros((len(bboxes), *out_shape))
    compute = _from_patches if bboxes.device.type == 'cpu' else _from_bitmaps
    return compute(masks, bboxes, inds.cpu(), out_shape)


def _from_bitmaps(
    masks: PatchMasks, bboxes: Tensor, inds: Tensor, out_shape: tuple[int, int],
) -> Tensor:
    """Compute the targets in mmcv's way, with one bitmap an instance."""
    targets = []
    max_rois = max(1, CHUNK_PIXELS // (masks.height * masks.width))
    for rois, instances in zip(bboxes.split(max_rois), inds.split(max_rois), strict=True):
        used, owner = np.unique(instances.numpy(), return_inverse=True)
        numbers = torch.from_numpy(owner.astype(np.float32)).to(rois.device)
        targets.append(roi_align(
            _paint(masks[used], rois.device), torch.cat([numbers[:, None], rois], dim=1),
            out_shape, 1.0, 0, 'avg', True)[:, 0])
    return torch.cat(targets)


def _paint(masks: PatchMasks, device: torch.device) -> Tensor:
    """Paint masks as bitmaps on a device, float32 (N, 1, height, width)."""
    owner, y, x = masks.pixels()
    places = torch.from_numpy((owner * masks.height + y) * masks.width + x).to(device)
    bitmaps = torch.zeros(len(masks) * masks.height * masks.width, device=device)
    return bitmaps.index_fill_(0, places, 1.0).view(-1, 1, masks.height, masks.width)


def _from_patches(
    masks: PatchMasks, bboxes: Tensor, inds: Tensor, out_shape: tuple[int, int],
) -> Tensor:
    """Compute the targets from the pixels in the patches alone."""
    out = bboxes.new_zeros((len(bboxes), *out_shape))
    data = torch.from_numpy(masks.data.astype(np.float32))
    frames = torch.from_numpy(masks.boxes.astype(np.int64))[inds]
    # An empty instance may sit past the end of the buffer; whatever it reads weighs 0.
    bases = torch.from_numpy(masks.offsets[:-1]).clamp(max=len(data) - 1)[inds]
    sizes = torch.stack([bboxes[:, 3] - bboxes[:, 1], bboxes[:, 2] - bboxes[:, 0]], dim=1)
    grids = torch.ceil(sizes / sizes.new_tensor(out_shape)).clamp(min=0)
    for take in _similar_chunks(grids, max(1, CHUNK_BINS // (out_shape[0] * out_shape[1]))):
        box, frame, grid = bboxes[take], frames[take], grids[take]
        rows = _AxisSamples(box[:, 1::2], frame[:, 1::2], grid[:, 0], out_shape[0], masks.height)
        cols = _AxisSamples(box[:, 0::2], frame[:, 0::2], grid[:, 1], out_shape[1], masks.width)
        strides = (frame[:, 2] - frame[:, 0])[:, None]
        out[take] = _mean_of_samples(data, bases[take], strides, rows, cols)
    return out


class _AxisSamples:
    """Sampling points of RoIs along one axis: neighbours in the patch and their weights.

    Args:
        spans: float (R, 2), begin and end of each RoI on this axis, image frame.
        frames: int64 (R, 2), begin and end of each RoI's patch, image frame.
        grids: float (R,), samples per bin.
        num_bins: bins of a RoI on this axis.
        image_size: extent of the image in pixels.
    """

    def __init__(
        self, spans: Tensor, frames: Tensor, grids: Tensor, num_bins: int, image_size: int,
    ) -> None:
        begin, end = spans[:, :1] - 0.5, spans[:, 1:] - 0.5
        self.bin_size = (end - begin) / num_bins
        bins = torch.arange(num_bins, device=spans.device, dtype=spans.dtype)
        self.bin_begin = begin + bins * self.bin_size
        self.grids = grids[:, None]
        self.frames = frames
        self.image_size = image_size
        self.max_grid = int(grids.max())

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Yield, per sample of a bin, what :meth:`_sample` returns."""
        return (self._sample(step) for step in range(self.max_grid))

    def _sample(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Locate sample number ``step`` of each bin.

        Returns:
            Index in the patch (int64) and weight (float32) of the lower neighbour, then of the
            upper one, each (R, bins). A neighbour outside the patch weighs 0, and so do both
            where the sample lies outside the image or the RoI has no such sample.
        """
        point = self.bin_begin + (step + 0.5) * self.bin_size / self.grids
        used = (point >= -1.0) & (point <= self.image_size) & (step < self.grids)
        point = point.nan_to_num().clamp(min=0.0)  # 0 / 0 in a RoI without samples
        last = self.image_size - 1
        low = point.long().clamp(max=last)
        high = (low + 1).clamp(max=last)
        upper = torch.where(low >= last, 0.0, point - low)
        lower_index, lower_inside = self._in_patch(low)
        upper_index, upper_inside = self._in_patch(high)
        return (lower_index, (1.0 - upper) * (used & lower_inside),
                upper_index, upper * (used & upper_inside))

    def _in_patch(self, position: Tensor) -> tuple[Tensor, Tensor]:
        """Turn pixel positions of the image into indices that are safe to read in the patch."""
        begin, size = self.frames[:, :1], self.frames[:, 1:] - self.frames[:, :1]
        index = position - begin
        inside = (index >= 0) & (index < size)
        return torch.where(inside, index, 0), inside


def _mean_of_samples(
    data: Tensor, bases: Tensor, strides: Tensor, rows: _AxisSamples, cols: _AxisSamples,
) -> Tensor:
    """Average the bilinear samples of every bin; the order of the sums is RoIAlign's."""
    columns = list(cols)
    total = data.new_zeros(len(bases), rows.bin_begin.size(1), cols.bin_begin.size(1))
    for top, top_weight, bottom, bottom_weight in rows:
        top_at = (bases[:, None] + top * strides)[:, :, None]
        bottom_at = (bases[:, None] + bottom * strides)[:, :, None]
        top_weight, bottom_weight = top_weight[:, :, None], bottom_weight[:, :, None]
        for left, left_weight, right, right_weight in columns:
            left, right = left[:, None], right[:, None]
            left_weight, right_weight = left_weight[:, None], right_weight[:, None]
            sample = (top_weight * left_weight).mul_(_read(data, top_at + left))
            sample += (top_weight * right_weight).mul_(_read(data, top_at + right))
            sample += (bottom_weight * left_weight).mul_(_read(data, bottom_at + left))
            sample += (bottom_weight * right_weight).mul_(_read(data, bottom_at + right))
            total += sample
    return total / (rows.grids * cols.grids).clamp(min=1)[:, :, None]


def _read(data: Tensor, index: Tensor) -> Tensor:
    """Gather from a flat buffer; faster on the CPU than advanced indexing."""
    return data.index_select(0, index.view(-1)).view(index.shape)


def _similar_chunks(grids: Tensor, max_rois: int) -> Iterator[Tensor]:
    """Split RoIs into chunks whose sampling grids differ at most by a factor of two.

    A chunk loops over its densest grid, so that mixing a bin of 10 pixels with one of 300 would
    cost the small one a hundred empty rounds.
    """
    octaves = torch.log2(grids.clamp(min=1)).ceil()
    keys = octaves[:, 0] * 64 + octaves[:, 1]
    for key in keys.unique():
        yield from torch.nonzero(keys == key)[:, 0].split(max_rois)

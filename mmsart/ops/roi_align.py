"""RoIAlign with average pooling, forwards and backwards, as mmcv's compiled operators have it."""
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmsart.ops import COMPILE_MMCV
from mmsart.ops.bilinear import bilinear_bags
from mmsart.ops.checks import widened

AVERAGE = 1  # mmcv's pool_mode; 0 is max
DTYPES = (torch.float32, torch.float64)
BATCH = 2**23  # samples' neighbours at once: 96 MB of rows and weights


class _Bags(NamedTuple):
    """Bags of RoIs, for `embedding_bag`.

    Attributes:
        rois: numbers of the RoIs, int64 (n,).
        rows: rows of the table, of all bags after each other, int64.
        weights: their weights.
        starts: where each bag begins, int64 (n x bins,).
        samples: of each bag, int64 (n x bins, 1).
    """

    rois: Tensor
    rows: Tensor
    weights: Tensor
    starts: Tensor
    samples: Tensor


def roi_align_forward(input: Tensor, rois: Tensor, output: Tensor, argmax_y: Tensor,
                      argmax_x: Tensor, aligned_height: int, aligned_width: int,
                      spatial_scale: float, sampling_ratio: int, pool_mode: int,
                      aligned: bool) -> None:
    """Pool features of RoIs into bins.

    Args:
        input: features, float32, float64 or half precision (B, C, h, w).
        rois: image index, x1, y1, x2, y2 in pixels of the image, (N, 5).
        output: filled with the features of bins, (N, C, aligned_height, aligned_width).
        argmax_y: of max pooling, not used.
        argmax_x: of max pooling, not used.
        aligned_height: rows of bins.
        aligned_width: columns of bins.
        spatial_scale: pixels of the map per pixel of the image.
        sampling_ratio: samples of a bin along each axis; 0 for about one per pixel of the map.
        pool_mode: 1, average.
        aligned: centres of pixels are half a pixel from their corners; without it, RoIs are
            taken half a pixel too far to the right and below, and are at least 1 pixel large.

    Raises:
        NotImplementedError: max pooling is asked for.
        RuntimeError: wrong dtypes, or with ``aligned`` a RoI that ends before it begins.
    """
    input, rois = _checked('roi_align_forward', input, rois, pool_mode)
    channels = input.shape[1]
    bins = (aligned_height, aligned_width)
    table = input.permute(0, 2, 3, 1).reshape(-1, channels)
    for bags in _bags(rois, input.shape, bins, spatial_scale, sampling_ratio, aligned):
        pooled = F.embedding_bag(bags.rows, table, bags.starts, mode='sum',
                                 per_sample_weights=bags.weights)
        pooled /= bags.samples
        output[bags.rois] = pooled.view(-1, *bins, channels).permute(0, 3, 1, 2).to(output.dtype)


def roi_align_backward(grad_output: Tensor, rois: Tensor, argmax_y: Tensor, argmax_x: Tensor,
                       grad_input: Tensor, aligned_height: int, aligned_width: int,
                       spatial_scale: float, sampling_ratio: int, pool_mode: int,
                       aligned: bool) -> None:
    """Add the gradient of the pooled features to that of the map.

    Args:
        grad_output: gradient of the bins, (N, C, aligned_height, aligned_width).
        rois: as in :func:`roi_align_forward`, and so are all others.
        argmax_y: of max pooling, not used.
        argmax_x: of max pooling, not used.
        grad_input: (B, C, h, w), added to.
        aligned_height: rows of bins.
        aligned_width: columns of bins.
        spatial_scale: pixels of the map per pixel of the image.
        sampling_ratio: samples of a bin along each axis.
        pool_mode: 1, average.
        aligned: whether centres of pixels are half a pixel from their corners.

    Raises:
        NotImplementedError: max pooling is asked for.
        RuntimeError: wrong dtypes, or with ``aligned`` a RoI that ends before it begins.
    """
    grad_output, rois = _checked('roi_align_backward', grad_output, rois, pool_mode)
    images, channels, height, width = grad_input.shape
    bins = (aligned_height, aligned_width)
    # Of half precision the sum is rounded once, at the end.
    exact = grad_input.dtype == grad_output.dtype
    summed = grad_input if exact else torch.zeros_like(grad_input, dtype=grad_output.dtype)
    for bags in _bags(rois, grad_input.shape, bins, spatial_scale, sampling_ratio, aligned):
        grads = grad_output[bags.rois].permute(0, 2, 3, 1).reshape(-1, channels)
        grads = grads / bags.samples
        with torch.enable_grad():
            # the sum is linear in the table, so that any table has its gradient
            table = grad_output.new_zeros(images * height * width, channels).requires_grad_()
            pooled = F.embedding_bag(bags.rows, table, bags.starts, mode='sum',
                                     per_sample_weights=bags.weights)
        total, = torch.autograd.grad(pooled, table, grads)
        summed += total.view(images, height, width, channels).permute(0, 3, 1, 2)
    if not exact:
        grad_input += summed


def _checked(operator: str, features: Tensor, rois: Tensor,
             pool_mode: int) -> tuple[Tensor, ...]:
    if pool_mode != AVERAGE:
        raise NotImplementedError(f"mmcv's operator {operator} is not compiled here, and mmsart's "
                                  'in Python has average pooling, not max; to compile it: '
                                  f'{COMPILE_MMCV}')
    return widened(operator, features, rois, dtypes=DTYPES)


def _bags(rois: Tensor, shape: torch.Size, bins: tuple[int, int], spatial_scale: float,
          sampling_ratio: int, aligned: bool) -> Iterator[_Bags]:
    """Yield bags of all RoIs that have any samples, as many at once as memory should hold.

    Ragged ones: each call of `embedding_bag` backwards makes a gradient as large as the map, so
    a call for each shape of sampling grid would take most of its time for that.
    """
    _, _, height, width = shape
    corners = rois[:, 1:] * float(np.float32(spatial_scale)) - (0.5 if aligned else 0.0)
    origins = corners[:, :2]
    extents = corners[:, 2:] - origins
    if not aligned:
        extents = extents.clamp(min=1)
    elif (extents < 0).any():
        raise RuntimeError('roi_align: found a RoI that ends before it begins, expected x1 <= x2 '
                           'and y1 <= y2')
    map_sizes = rois.new_tensor([[height, width]], dtype=torch.long).expand(len(rois), 2)
    first_rows = rois[:, 0].long() * (height * width)
    batch: list[tuple[Tensor, Tensor, Tensor]] = []
    for grid, some in _by_grid(extents, bins, sampling_ratio):
        batch.append((some, *bilinear_bags(
            origins[some], extents[some], map_sizes[some], first_rows[some], bins, grid)))
        if sum(rows.numel() for _, rows, _ in batch) >= BATCH:
            yield _join(batch)
            batch = []
    if batch:
        yield _join(batch)


def _by_grid(extents: Tensor, bins: tuple[int, int],
             sampling_ratio: int) -> Iterator[tuple[tuple[int, int], Tensor]]:
    """Yield sampling grids (rows, columns) with the numbers of some RoIs that have them."""
    if sampling_ratio > 0:
        grids = torch.full((len(extents), 2), sampling_ratio, device=extents.device)
    else:
        grids = (extents.flip(1) / extents.new_tensor(bins)).ceil().long()
    shapes, which = grids.unique(dim=0, return_inverse=True)
    for number, (rows, columns) in enumerate(shapes.tolist()):
        samples = bins[0] * bins[1] * rows * columns
        if samples > 0:  # an empty RoI has none, its bins stay 0
            for some in torch.nonzero(which == number)[:, 0].split(max(1, BATCH // (4 * samples))):
                yield (rows, columns), some


def _join(batch: list[tuple[Tensor, Tensor, Tensor]]) -> _Bags:
    """Put bags of several sizes, as numbers of RoIs, rows and weights, after each other."""
    rois, rows, weights = zip(*batch, strict=True)
    sizes = torch.cat([torch.full((len(bags),), bags.shape[1], device=bags.device)
                       for bags in rows])
    return _Bags(torch.cat(rois), torch.cat([bags.flatten() for bags in rows]),
                 torch.cat([bags.flatten() for bags in weights]), sizes.cumsum(0) - sizes,
                 sizes[:, None] // 4)

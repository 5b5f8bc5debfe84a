"""RoIAlign as sums of rows of a table: which pixels make up a bin, and with which weights.

With features as rows of a table, one per pixel, a bin is a bag of rows with bilinear weights, which
:func:`torch.nn.functional.embedding_bag` sums: vectorised over the channels and on all threads,
forwards and backwards.
"""
import torch
from torch import Tensor


def bilinear_bags(origins: Tensor, extents: Tensor, map_sizes: Tensor, first_rows: Tensor,
                  bins: tuple[int, int], grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Find the rows and weights that give the bins of RoIs.

    The mean of bilinear samples (He et al., Mask R-CNN, 2017), at mmcv's places: a sample less
    than a pixel off the map takes the border's value, one further off counts as 0.

    Args:
        origins: where RoIs begin, x and y in pixels of their maps, whose centres are at whole
            numbers, (N, 2).
        extents: width and height of RoIs in these pixels, (N, 2).
        map_sizes: height and width of each RoI's map, int64 (N, 2).
        first_rows: row of the table that holds pixel (0, 0) of it, int64 (N,); others follow in
            row-major order.
        bins: rows and columns of bins of a RoI.
        grid: rows and columns of samples of a bin.

    Returns:
        Rows, int64, and weights, of the dtype of ``origins``, both (N x bins, 4 x samples); RoI by
        RoI, bins in row-major order. Weights of a bin inside the map sum up to the number of its
        samples, by which the sum of the rows is to be divided.
    """
    heights, widths = map_sizes.unbind(dim=1)
    y_at, y_weights = _neighbours(origins[:, 1], extents[:, 1], heights, bins[0], grid[0])
    x_at, x_weights = _neighbours(origins[:, 0], extents[:, 0], widths, bins[1], grid[1])
    line_starts = first_rows[:, None, None] + y_at * widths[:, None, None]
    rows = line_starts[:, :, None, :, None] + x_at[:, None, :, None, :]
    weights = y_weights[:, :, None, :, None] * x_weights[:, None, :, None, :]
    bag = 4 * grid[0] * grid[1]
    return rows.reshape(-1, bag), weights.reshape(-1, bag)


def _neighbours(origin: Tensor, extent: Tensor, size: Tensor, bins: int,
                samples: int) -> tuple[Tensor, Tensor]:
    """Find the two pixels around each sample along one axis, and their weights.

    Args:
        origin: where each RoI begins, (N,).
        extent: its length, (N,).
        size: pixels of its map, int64 (N,).
        bins: bins of a RoI.
        samples: samples of a bin.

    Returns:
        Pixels, int64, and weights, both (N, bins, 2 x samples).
    """
    bin_size = (extent / bins)[:, None, None]
    place = torch.arange(bins, dtype=origin.dtype, device=origin.device)[:, None]
    step = torch.arange(samples, dtype=origin.dtype, device=origin.device) + 0.5
    # this order of operations gives mmcv's places to the last bit
    at = origin[:, None, None] + place * bin_size + step * bin_size / samples
    limit = size[:, None, None]
    inside = (at >= -1) & (at <= limit)
    at = at.clamp(min=0)
    below = torch.minimum(at.long(), limit - 1)
    share = torch.where(below < limit - 1, at - below, 0.0)
    pixels = torch.stack([below, torch.minimum(below + 1, limit - 1)], dim=-1)
    weights = torch.stack([1 - share, share], dim=-1) * inside[..., None]
    shape = (len(origin), bins, 2 * samples)
    return pixels.view(shape), weights.view(shape)

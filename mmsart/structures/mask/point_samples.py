"""Values of masks at points, read from patches instead of full-size bitmaps."""
import numpy as np
import torch
from torch import Tensor

from mmsart.structures.mask.patch_masks import PatchMasks

# Points computed at a time; bounds the memory, at about 100 bytes a point.
CHUNK_POINTS = 1 << 20


def sample_points(masks: PatchMasks, points: Tensor, inds: Tensor) -> Tensor:
    """Read masks at points, bilinear between the centres of pixels and zero outside the image.

    Equal, but for rounding, to mmcv's ``point_sample(bitmaps[inds][:, None], points)``, which is
    `torch.nn.functional.grid_sample` with ``align_corners=False``.

    Args:
        masks: instances of one image.
        points: float (R, P, 2), xy as shares of the image's width and height; any device.
        inds: int64 (R,), the instance of each row of points.

    Returns:
        float32 (R, P) on the device of ``points``, between 0 and 1.
    """
    rows, count = points.shape[:2]
    out = points.new_zeros((rows, count), dtype=torch.float32)
    if not len(masks.data) or not out.numel():
        return out
    device = points.device
    data = torch.from_numpy(masks.data.astype(np.float32)).to(device)
    boxes = torch.from_numpy(masks.boxes.astype(np.int64)).to(device)
    # An empty instance may sit past the end of the buffer; whatever it reads weighs 0.
    offsets = torch.from_numpy(masks.offsets[:-1]).to(device).clamp(max=len(data) - 1)
    size = points.new_tensor([masks.width, masks.height], dtype=torch.float32)
    for part in torch.arange(rows, device=device).split(max(1, CHUNK_POINTS // count)):
        own = inds.to(device)[part]
        x, y = (points[part].float() * size - 0.5).unbind(-1)
        out[part] = _bilinear(data, boxes[own], offsets[own], x, y)
    return out


def _bilinear(data: Tensor, boxes: Tensor, offsets: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Weigh the four pixels around each point; pixels outside the patch count nothing."""
    x1, y1, x2, y2 = (side[:, None] for side in boxes.unbind(1))
    left, top = x.floor(), y.floor()
    total = torch.zeros_like(x)
    for column, across in ((left, left + 1 - x), (left + 1, x - left)):
        for row, down in ((top, top + 1 - y), (top + 1, y - top)):
            inside = (column >= x1) & (column < x2) & (row >= y1) & (row < y2)
            index = offsets[:, None] + (row.long() - y1) * (x2 - x1) + (column.long() - x1)
            total += data[torch.where(inside, index, 0)] * (across * down * inside)
    return total

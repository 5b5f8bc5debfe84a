"""Soft masks of the network to box-local masks of the image, without a full-size bitmap."""
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmsart.structures.mask.patch_masks import PatchMasks

# Pixels pasted at a time; bounds the memory at about 30 bytes a pixel.
CHUNK_PIXELS_CPU = 1 << 17
CHUNK_PIXELS_GPU = 1 << 24
# A coordinate of grid_sample that no pixel of the soft mask reaches (they lie within -1 and 1).
FAR_OUTSIDE = 1e3


def paste_masks(
    probs: Tensor, bboxes: Tensor, size: tuple[int, int], thr: float | Tensor,
) -> PatchMasks:
    """Resample soft masks to their boxes and threshold them.

    Each mask is interpolated at the pixel centres of its box, grown to whole pixels plus one, with
    zeros outside the soft mask: what mmdet pastes into a full-size bitmap on the CPU. Boxes of
    similar size share one call of ``grid_sample``, since most cells are so small that a call each
    would cost more than its pixels.

    Args:
        probs: float (N, h, w), soft masks between 0 and 1; any device.
        bboxes: float (N, 4), boxes xyxy in pixels of the image.
        size: (height, width) of the image in pixels.
        thr: a pixel belongs to the mask where its value is >= this, more than 0; one number for
            all, or float (N,).

    Returns:
        N masks in the order of ``probs``, cut to their pixels.
    """
    height, width = size
    bboxes = bboxes.detach().float()
    thrs = torch.as_tensor(thr, dtype=torch.float32, device=probs.device).expand(len(probs))
    windows = _pixel_windows(bboxes, height, width)
    boxes = np.zeros((len(probs), 4), np.int32)
    patches = [np.empty(0, bool)] * len(probs)
    for take in _similar_chunks(windows):
        soft = _paste_chunk(probs[take], bboxes[take], windows[take])
        inside = (soft >= thrs[take, None, None]).cpu().numpy()
        _trim(inside, windows[take].cpu().numpy(), take.tolist(), boxes, patches)
    data = np.concatenate(patches) if patches else np.empty(0, bool)
    return PatchMasks(data.view(np.uint8), boxes, height, width)


def _pixel_windows(bboxes: Tensor, height: int, width: int) -> Tensor:
    """Round boxes out to whole pixels, one more on each side, inside the image.

    Returns:
        int64 (N, 4), half-open xyxy; zero extent where the box lies outside the image.
    """
    limit = bboxes.new_tensor([width, height])
    low = (bboxes[:, :2].floor() - 1).clamp(min=0)
    high = torch.minimum(bboxes[:, 2:].ceil() + 1, limit)
    return torch.cat([torch.minimum(low, limit), torch.maximum(high, low)], dim=1).long()


def _similar_chunks(windows: Tensor) -> Iterator[Tensor]:
    """Group windows of similar height and width.

    Sizes are rounded up in half octaves, so that a window fills half of its share of a chunk at
    the worst.
    """
    sizes = torch.stack([windows[:, 3] - windows[:, 1], windows[:, 2] - windows[:, 0]], dim=1)
    sizes = sizes.cpu()
    steps = (torch.log2(sizes.clamp(min=8).float()) * 2).ceil().long()
    limit = CHUNK_PIXELS_CPU if windows.device.type == 'cpu' else CHUNK_PIXELS_GPU
    keys = torch.where((sizes > 0).all(dim=1), steps[:, 0] * 64 + steps[:, 1], -1)
    for key in keys.unique().tolist():
        if key < 0:
            continue
        members = torch.nonzero(keys == key)[:, 0]
        pixels = int(sizes[members].amax(dim=0).prod())
        yield from members.to(windows.device).split(max(1, limit // pixels))


def _paste_chunk(probs: Tensor, bboxes: Tensor, windows: Tensor) -> Tensor:
    """Interpolate soft masks at the pixels of their windows.

    Returns:
        float32 (n, h, w) of the largest window; zero past the end of a smaller one.
    """
    ys = _sample_axis(bboxes[:, 1::2], windows[:, 1::2])
    xs = _sample_axis(bboxes[:, 0::2], windows[:, 0::2])
    grid = ys.new_empty(len(probs), ys.size(1), xs.size(1), 2)
    grid[..., 0] = xs[:, None, :]
    grid[..., 1] = ys[:, :, None]
    return F.grid_sample(probs[:, None].float(), grid, align_corners=False)[:, 0]


def _sample_axis(spans: Tensor, windows: Tensor) -> Tensor:
    """Express pixel centres of one axis in the coordinates of ``grid_sample``.

    Args:
        spans: float (n, 2), begin and end of the boxes.
        windows: int64 (n, 2), begin and end of their windows.

    Returns:
        float (n, length), -1 at the begin of the box and 1 at its end; far outside past the end of
        the window, where ``grid_sample`` gives zero.
    """
    begin, end = spans[:, :1], spans[:, 1:]
    steps = torch.arange(int((windows[:, 1] - windows[:, 0]).max()), device=spans.device)
    pixels = windows[:, :1] + steps
    coords = (pixels.float() + 0.5 - begin) / (end - begin) * 2 - 1
    # Division by a box of zero extent, which mmdet samples in the middle of the mask.
    coords = torch.where(coords.isinf(), 0.0, coords)
    return torch.where(pixels < windows[:, 1:], coords, FAR_OUTSIDE)


def _trim(
    inside: np.ndarray, windows: np.ndarray, rows: list[int], boxes: np.ndarray,
    patches: list[np.ndarray],
) -> None:
    """Cut masks to the box of their pixels and put them at their places in the result.

    Args:
        inside: bool (n, h, w).
        windows: int64 (n, 4), where the masks' first pixels lie in the image.
        rows: the n masks' places in the result.
        boxes: int32 (N, 4), filled in here; an empty mask's box stays zero.
        patches: filled in here, one flat bool array a mask.
    """
    x1, x2 = _extent(np.any(inside, axis=1))
    y1, y2 = _extent(np.any(inside, axis=2))
    filled = np.flatnonzero(x2 > x1)
    tight = np.stack([x1, y1, x2, y2], axis=1)[filled]
    boxes[np.asarray(rows)[filled]] = tight + np.tile(windows[filled, :2], 2)
    for at, (left, top, right, bottom) in zip(filled.tolist(), tight.tolist(), strict=True):
        patches[rows[at]] = inside[at, top:bottom, left:right].ravel()


def _extent(used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the half-open span from the first to the last true element of each row.

    Args:
        used: bool (n, length), length >= 1.

    Returns:
        Begin and end, int64 (n,), both 0 in a row without any.
    """
    begin = used.argmax(axis=1)
    end = used.shape[1] - used[:, ::-1].argmax(axis=1)
    return begin, np.where(used.any(axis=1), end, 0)

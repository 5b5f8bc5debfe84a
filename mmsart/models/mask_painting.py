"""Box-local masks from heads that paint whole images."""
import math
from collections.abc import Callable

from torch import Tensor

from mmsart.structures.mask.cropped_masks import CroppedMasks

# Pixels of full-size masks in memory at a time, all masks of a part together: as float32 64 MB.
CHUNK_PIXELS = 1 << 24


def parts(count: int, size: tuple[int, int]) -> list[slice]:
    """Cut the masks of an image into parts of at most :data:`CHUNK_PIXELS`.

    Args:
        count: number of masks.
        size: (h, w) of the largest map that is made of each.

    Returns:
        Slices, in order.
    """
    step = max(1, CHUNK_PIXELS // max(1, size[0] * size[1]))
    return [slice(begin, min(begin + step, count)) for begin in range(0, count, step)]


def paint_in_parts(count: int, size: tuple[int, int], work_size: tuple[int, int],
                   paint: Callable[[slice], Tensor]) -> CroppedMasks:
    """Paint masks a part at a time, and keep what is inside their boxes.

    Args:
        count: number of masks.
        size: (h, w) of the masks.
        work_size: (h, w) of the largest map that `paint` makes on the way to them.
        paint: gives the masks of a slice, bool (n, h, w).

    Returns:
        All masks.
    """
    painted = [CroppedMasks.from_bitmaps(paint(part).cpu().numpy())
               for part in parts(count, max(size, work_size, key=math.prod))]
    return CroppedMasks.cat(painted) if painted else CroppedMasks.empty(*size)

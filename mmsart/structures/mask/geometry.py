"""Resizing and warping of patches with the very arithmetic of OpenCV."""
import cv2
import numpy as np

from mmsart.structures.mask.patch_masks import PatchMasks

_BITS, _STEPS = 10, 32  # fixed point of coordinates; sub-pixel positions that are told apart


def nearest_map(old: int, new: int) -> np.ndarray:
    """Ask OpenCV which old pixel each new one shows after nearest-neighbour resizing.

    Args:
        old: pixels along the axis before.
        new: pixels along the axis afterwards.

    Returns:
        int64 (new,), rising, values in [0, old).
    """
    line = np.arange(old, dtype=np.float32)[None]
    return cv2.resize(line, (new, 1), interpolation=cv2.INTER_NEAREST)[0].astype(np.int64)


def rotation_matrix(size: tuple[int, int], angle: float, center: tuple[float, float] | None,
                    scale: float) -> np.ndarray:
    """Build the matrix of `mmcv.imrotate`.

    Args:
        size: (h, w) of the image.
        angle: degrees, clockwise.
        center: (x, y), the middle of the image if None.
        scale: isotropic factor.

    Returns:
        float64 (2, 3), old coordinates to new ones.
    """
    if center is None:
        center = ((size[1] - 1) * 0.5, (size[0] - 1) * 0.5)
    return cv2.getRotationMatrix2D(center, -angle, scale)


def shear_matrix(magnitude: float, direction: str) -> np.ndarray:
    """Build the matrix of `mmcv.imshear`, float64 (2, 3) with float32 precision."""
    matrix = np.eye(2, 3, dtype=np.float32)
    matrix[(0, 1) if direction == 'horizontal' else (1, 0)] = magnitude
    return matrix.astype(np.float64)


def warp_patches(masks: PatchMasks, matrix: np.ndarray,
                 out_shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Warp each patch as `cv2.warpAffine` (bilinear, border 0) would warp the whole image.

    Args:
        masks: N masks.
        matrix: float64 (2, 3), old coordinates to new ones.
        out_shape: (h, w) of the new image.

    Returns:
        Pixels uint8 and boxes int32 (N, 4) of the warped masks; boxes are not tight.
    """
    height, width = out_shape
    places, fractions = fixed_point_maps(matrix, out_shape)
    boxes = _warped_boxes(masks.boxes, matrix, height, width)
    boxes[np.diff(masks.offsets) == 0] = 0
    patches: list[np.ndarray] = [np.zeros(0, np.uint8)]
    for i, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        if x2 > x1 and y2 > y1:
            window = places[y1:y2, x1:x2] - masks.boxes[i, :2].astype(np.int16)
            patches.append(cv2.remap(
                masks.patch(i), window, fractions[y1:y2, x1:x2], cv2.INTER_LINEAR).ravel())
    return np.concatenate(patches), boxes


def fixed_point_maps(matrix: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Compute where `cv2.warpAffine` looks for each new pixel, in its own fixed point.

    Coordinates have 10 fractional bits, each column's and each row's share is rounded on its own,
    and the sum is cut to 1/32 pixel.

    Args:
        matrix: float64 (2, 3), old coordinates to new ones.
        size: (h, w) of the new image.

    Returns:
        Maps for `cv2.remap`: whole pixels (x, y), int16 (h, w, 2), and the fractions' table index
        ``32 * y + x``, uint16 (h, w).
    """
    inverse = _invert(matrix)
    x, y = np.arange(size[1]), np.arange(size[0])
    one = 1 << _BITS
    half = one // _STEPS // 2
    maps = []
    for row in inverse:
        across = np.rint(row[0] * x * one).astype(np.int32)
        down = np.rint((row[1] * y + row[2]) * one).astype(np.int32) + half
        maps.append((down[:, None] + across) >> (_BITS - 5))
    places = np.stack([np.clip(part >> 5, -32768, 32767) for part in maps], -1)
    fractions = (maps[1] & (_STEPS - 1)) * _STEPS + (maps[0] & (_STEPS - 1))
    return places.astype(np.int16), fractions.astype(np.uint16)


def _invert(matrix: np.ndarray) -> np.ndarray:
    """Invert an affine matrix (2, 3) by OpenCV's own formula, for its rounding."""
    (a, b, c), (d, e, f) = matrix.tolist()
    determinant = a * e - b * d
    factor = 1 / determinant if determinant else 0.0
    a, b, d, e = e * factor, -b * factor, -d * factor, a * factor
    return np.array([[a, b, -a * c - b * f], [d, e, -d * c - e * f]])


def _warped_boxes(boxes: np.ndarray, matrix: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bound warped boxes, int32 (N, 4), with room for interpolation and rounding."""
    corners = boxes[:, [[0, 1], [2, 1], [0, 3], [2, 3]]].astype(np.float64)
    corners += np.array([[-1, -1], [0, -1], [-1, 0], [0, 0]])  # bilinear weight reaches a pixel
    moved = corners @ matrix[:, :2].T + matrix[:, 2]
    low, high = np.floor(moved.min(1)) - 1, np.ceil(moved.max(1)) + 2
    limits = np.array([width, height])
    return np.concatenate([np.clip(low, 0, limits), np.clip(high, 0, limits)], 1).astype(np.int32)

"""Random prediction sets for the tests, and plain full-canvas twins of the fast code."""
from fractions import Fraction

import numpy as np
from scipy import ndimage

from mmsart.structures.detections import Detections
from mmsart.structures.mask.cropped_masks import CroppedMasks

EIGHT = np.ones((3, 3), int)


def random_bitmaps(rng: np.random.Generator, height: int, width: int, num: int) -> np.ndarray:
    """Draw overlapping blobs, duplicates, empty, one-pixel, whole-image and border masks.

    Returns:
        (N, height, width) uint8.
    """
    bitmaps = np.zeros((num, height, width), np.uint8)
    ys, xs = np.mgrid[:height, :width]
    for i, kind in enumerate(rng.integers(0, 10, num)):
        if kind == 0:
            continue
        if kind == 1:
            bitmaps[i, rng.integers(height), rng.integers(width)] = 1
        elif kind == 2 and i:
            bitmaps[i] = bitmaps[rng.integers(i)]
        elif kind == 3:
            bitmaps[i] = 1
        elif kind == 4:  # noise, in many pieces
            bitmaps[i] = rng.random((height, width)) < rng.random() * 0.5
        elif kind == 5:  # a frame along the border, with a hole
            bitmaps[i] = 1
            bitmaps[i, 1:-1, 1:-1] = 0
        else:
            y, x = rng.uniform(-2, height + 2), rng.uniform(-2, width + 2)
            a, b = rng.uniform(0.5, 12, 2)
            bitmaps[i] = ((ys - y) / a) ** 2 + ((xs - x) / b) ** 2 <= 1
    return bitmaps


def random_detections(
        rng: np.random.Generator, height: int = 40, width: int = 56,
        num: int | None = None) -> Detections:
    """Draw a prediction set; scores are coarse, so that some are equal."""
    num = int(rng.integers(0, 15)) if num is None else num
    masks = CroppedMasks.from_bitmaps(random_bitmaps(rng, height, width, num))
    scores = rng.integers(0, 11, num) / 10
    return Detections(
        scores, rng.integers(0, 3, num), masks, masks.boxes.astype(np.float32), img_id='scene')


def plain_remove_overlap(
        bitmaps: np.ndarray, scores: np.ndarray, max_lost_share: np.ndarray, min_area: np.ndarray,
        pieces: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Do what remove_overlap does with one full-size canvas and full-size masks."""
    canvas = np.zeros(bitmaps.shape[1:], bool)
    kept, left = [], []
    for i in np.argsort(-scores, kind='stable'):
        mask = bitmaps[i].astype(bool)
        area = mask.sum()
        rest = mask & ~canvas
        if pieces[i] != 'keep' and (rest != mask).any():
            labels, count = ndimage.label(rest, EIGHT)
            if count > ndimage.label(mask, EIGHT)[1]:
                if pieces[i] == 'drop':
                    continue
                sizes = np.bincount(labels.ravel())[1:]
                first = [np.flatnonzero(labels.ravel() == k)[0] for k in range(1, count + 1)]
                rest = labels == 1 + min(range(count), key=lambda k: (-sizes[k], first[k]))
        lost = area - rest.sum()
        if lost > Fraction(str(max_lost_share[i])) * int(area) or rest.sum() < max(min_area[i], 1):
            continue
        canvas |= rest
        kept.append(i)
        left.append(rest)
    shape = (0, *bitmaps.shape[1:])
    return np.array(left, np.uint8) if left else np.zeros(shape, np.uint8), np.array(kept, int)


def plain_nms(bitmaps: np.ndarray, scores: np.ndarray, iou_thrs: np.ndarray) -> list[int]:
    """Do what mask_nms does, one pair of full-size masks at a time."""
    kept: list[int] = []
    for i in np.argsort(-scores, kind='stable'):
        clash = False
        for j in kept:
            union = np.logical_or(bitmaps[i], bitmaps[j]).sum()
            shared = np.logical_and(bitmaps[i], bitmaps[j]).sum()
            clash |= bool(union) and bool(shared / union > iou_thrs[i])
        if not clash:
            kept.append(i)
    return kept

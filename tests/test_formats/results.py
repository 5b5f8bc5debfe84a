"""Random results for the tests of the formats: disjoint cells with holes and in pieces."""
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmsart.formats.coco import to_coco
from mmsart.structures.detections import Detections
from mmsart.structures.image_result import FrameResult, ImageResult
from mmsart.structures.mask.cropped_masks import CroppedMasks
from tests.test_postprocessing.scenes import random_bitmaps

CLASSES = ('round', 'flat', 'long cell')


def random_frame(rng: np.random.Generator, height: int = 40, width: int = 56, num: int = 14,
                 t: int = 0, z: int = 0) -> FrameResult:
    """Draw disjoint cells; the first of those that share a pixel keeps it, none is empty."""
    bitmaps = random_bitmaps(rng, height, width, num)
    bitmaps = bitmaps[bitmaps.mean(axis=(1, 2)) < 0.9].astype(bool)  # no image-wide masks
    for index in range(1, len(bitmaps)):
        bitmaps[index] &= ~bitmaps[:index].any(axis=0)
    bitmaps = bitmaps[bitmaps.any(axis=(1, 2))]
    return make_frame(bitmaps, rng, t, z)


def make_frame(
        bitmaps: np.ndarray, rng: np.random.Generator, t: int = 0, z: int = 0) -> FrameResult:
    """Return masks falling scores, classes in turn and 12-bit grey values."""
    masks = CroppedMasks.from_bitmaps(bitmaps)
    scores = np.linspace(0.95, 0.3, len(masks))
    labels = np.arange(len(masks)) % len(CLASSES)
    image = rng.integers(0, 4096, bitmaps.shape[1:]).astype(np.uint16)
    return FrameResult(Detections(scores, labels, masks, masks.boxes, img_id='scene'), image, t, z)


def random_result(seed: int = 0, num_t: int = 1, num_z: int = 1,
                  pixel_size: float | None = None, **size: int) -> ImageResult:
    """Draw an image or a stack."""
    rng = np.random.default_rng(seed)
    frames = [random_frame(rng, t=t, z=z, **size) for t in range(num_t) for z in range(num_z)]
    return ImageResult('scene.tif', frames, CLASSES, pixel_size=pixel_size,
                       pixel_size_source='test' if pixel_size else '')


def bitmaps_of(frame: FrameResult) -> np.ndarray:
    """Paint each cell by itself, bool (N, h, w)."""
    return frame.detections.masks.to_ndarray().astype(bool)


def plain_labels(frame: FrameResult) -> np.ndarray:
    """Paint the label image from full-size bitmaps."""
    labels = np.zeros(frame.size, np.int64)
    for index, bitmap in enumerate(bitmaps_of(frame)):
        labels[bitmap] = index + 1
    return labels


def true_coco(results: Sequence[ImageResult]) -> dict[str, Any]:
    """Write results as somebody who has annotated them does: without scores."""
    data = to_coco(results)
    for each in data['annotations']:
        del each['score']
    return data

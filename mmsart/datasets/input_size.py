"""The size to which a pipeline brings images."""
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmdet.registry import TRANSFORMS


def input_size(pipeline: Sequence[Mapping[str, Any]], height: int, width: int) -> tuple[int, int]:
    """Return the size to which the Resize steps of a pipeline bring an image.

    Args:
        pipeline: transforms; without a Resize the size stays.
        height: in pixels.
        width: in pixels.

    Returns:
        (h, w) in pixels.
    """
    sample: Any = dict(img=np.zeros((height, width), np.uint8), img_shape=(height, width))
    for step in pipeline:
        if step['type'] == 'Resize':
            sample = TRANSFORMS.build(step)(sample)
    return sample['img_shape'][:2]

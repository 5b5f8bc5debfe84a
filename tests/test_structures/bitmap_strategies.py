"""Random masks for hypothesis."""
import cv2
import numpy as np
from hypothesis import strategies as st


@st.composite
def bitmaps(draw, max_masks=11, max_side=50, min_masks=0):
    """Draw uint8 (N, h, w) of blobs, also cut by the border, frayed, empty or full."""
    number = draw(st.integers(min_masks, max_masks))
    height, width = draw(st.integers(1, max_side)), draw(st.integers(1, max_side))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    masks = np.zeros((number, height, width), np.uint8)
    for mask in masks:
        kind = rng.integers(6)
        if kind == 0:
            mask[:] = rng.integers(2)
        elif kind == 1:
            mask[rng.integers(height), rng.integers(width)] = 1
        else:
            centre = rng.integers(-3, (width + 3, height + 3)).tolist()
            axes = rng.integers(0, 12, 2).tolist()
            cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
        if kind == 2:
            mask *= rng.random(mask.shape) < 0.6
    return masks

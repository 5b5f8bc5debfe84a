"""Outlines of instances on images, and predictions beside the truth."""
from typing import Any

import cv2
import numpy as np

from mmsart.formats.overlay import magnify, paint_cells
from mmsart.structures.mask.cropped_masks import as_cropped

TP_COLOUR = (0, 158, 115)
FP_COLOUR = (213, 94, 0)
FN_COLOUR = (240, 228, 66)
_CYCLE = np.array([
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167),
    (255, 255, 255)], np.uint8)  # after Okabe and Ito: told apart by colour-blind eyes too


def draw_instances(image: np.ndarray, masks: Any, *, colours: np.ndarray | None = None,
                   fill: float = 0.0, scale: int = 1) -> np.ndarray:
    """Draw the outline of each instance inside its own mask.

    As an outline takes its own side of a border, touching cells keep two lines; from `scale` 2 on
    a background shows between the lines of cells wider than four pixels.

    Args:
        image: uint8 (h, w) grey or (h, w, 3) RGB.
        masks: N masks of (h, w), anything `as_cropped` takes.
        colours: uint8 (N, 3), RGB of each instance; without it, those of a cycle in turn.
        fill: opacity of the mask's inside, 0 to 1.
        scale: magnification of the picture, a whole number.

    Returns:
        uint8 (scale * h, scale * w, 3), RGB.

    Raises:
        ValueError: there are not as many colours as masks.
    """
    height, width = image.shape[:2]
    cropped = as_cropped(masks, height, width)
    colours = _choose_colours(len(cropped), colours)
    picture = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else image.copy()
    picture = magnify(picture, scale)
    paint_cells(picture, cropped, colours, scale=scale, fill=fill)
    return picture


def _choose_colours(number: int, colours: np.ndarray | None) -> np.ndarray:
    """Return RGB colours, uint8 (number, 3)."""
    if colours is None:
        return _CYCLE[np.arange(number) % len(_CYCLE)]
    colours = np.asarray(colours, np.uint8).reshape(-1, 3)
    if len(colours) != number:
        raise ValueError(f'found {len(colours)} colours, expected one for each of {number} masks')
    return colours


def draw_comparison(image: np.ndarray, gts: Any, preds: Any, hit_gts: np.ndarray,
                    hit_preds: np.ndarray, *, scale: int = 1, caption: str = '') -> np.ndarray:
    """Draw the truth and the prediction side by side.

    Left the true instances, green where found and yellow where missed; right the predictions,
    green where they hit a true instance and vermilion where they do not.

    Args:
        image: uint8 (h, w) grey or (h, w, 3) RGB.
        gts: true masks of (h, w), anything `as_cropped` takes.
        preds: predicted masks.
        hit_gts: bool (G,), whether each true instance was found.
        hit_preds: bool (P,), whether each prediction hits a true instance.
        scale: magnification, a whole number.
        caption: ASCII text to put before the counts in the title.

    Returns:
        uint8 (scale * h + 24, 2 * scale * w + 4, 3), RGB.
    """
    left = draw_instances(image, gts, colours=_by_hit(hit_gts, FN_COLOUR), scale=scale)
    right = draw_instances(image, preds, colours=_by_hit(hit_preds, FP_COLOUR), scale=scale)
    found, missed, wrong = int(hit_gts.sum()), int((~hit_gts).sum()), int((~hit_preds).sum())
    lead = f'{caption}  ' if caption else ''
    left = _add_title(left, f'{lead}truth: {len(hit_gts)} (found {found}, missed {missed})')
    right = _add_title(right, f'prediction: {len(hit_preds)} (right {found}, wrong {wrong})')
    gap = np.full((len(left), 4, 3), 255, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def _by_hit(hit: np.ndarray, other: tuple[int, int, int]) -> np.ndarray:
    return np.where(hit[:, None], TP_COLOUR, other).astype(np.uint8)


def _add_title(picture: np.ndarray, text: str) -> np.ndarray:
    """Put a line of text above a picture, in a size that fits its width."""
    bar = np.full((24, picture.shape[1], 3), 255, np.uint8)
    (length, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
    size = 0.5 * min(1.0, (picture.shape[1] - 8) / length)
    cv2.putText(bar, text, (4, 17), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([bar, picture])

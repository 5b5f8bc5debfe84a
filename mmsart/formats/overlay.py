"""Pictures of an image with the outlines of its cells, a legend and a scale bar."""
import math
import os
from functools import lru_cache

import cv2
import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from mmsart.imaging.normalization import PERCENTILES
from mmsart.structures.image_result import FrameResult, ImageResult
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.utils.pictures import write_picture

SHOWN_SIDE = 1_200  # pixels; smaller images are magnified to about this, at most MAX_SCALE times
MAX_SCALE = 4
LINES_A_SIDE = 700  # a line is about this part of the picture wide
FILL = 0.35  # opacity of the inside of cells in overlays
_LEAST_SPAN = 1e-30  # of grey values by which a number of single precision can be divided
_SAMPLED_VALUES = 1 << 22  # looked at for percentiles


def write_overlay(path: str | os.PathLike, frame: FrameResult, result: ImageResult, *,
                  fill: float = 0.0, numbers: bool = False) -> None:
    """Write a frame with its cells as PNG.

    Args:
        path: the file to write.
        frame: one of the result.
        result: what was found.
        fill: opacity of the inside of cells, 0 to 1.
        numbers: whether to write each cell's label into it.

    Raises:
        UserError: the folder cannot be written.
        OSError: the disk is full, or fails.
    """
    write_picture(path, draw_overlay(frame, result, fill=fill, numbers=numbers))


def draw_overlay(frame: FrameResult, result: ImageResult, *, fill: float = 0.0,
                 numbers: bool = False) -> np.ndarray:
    """Draw a frame with the outlines of its cells, in the colours of their classes.

    Small images are magnified by a whole number, and lines grow with the picture as far as the
    cells leave room. Below the image stand its name, the number of cells, the classes and, where
    the pixel size is known, a scale bar.

    Args:
        frame: one of the result.
        result: what was found.
        fill: opacity of the inside of cells, 0 to 1.
        numbers: whether to write each cell's label into it.

    Returns:
        uint8 (h, w, 3), RGB.
    """
    cells = frame.detections
    picture = to_display(np.asarray(frame.image), result.display_range)
    scale = min(max(math.ceil(SHOWN_SIDE / max(frame.size)), 1), MAX_SCALE)
    picture = cv2.cvtColor(magnify(picture, scale), cv2.COLOR_GRAY2RGB)
    colours = np.array(result.colours, np.uint8)[cells.labels]
    paint_cells(picture, cells.masks, colours, scale=scale,
                width=_line_width(cells.masks, scale), fill=fill)
    if numbers:
        _write_numbers(picture, cells.masks, scale)
    return np.concatenate([picture, _footer(frame, result, scale)])


def to_display(image: np.ndarray, limits: tuple[float, float] | None = None) -> np.ndarray:
    """Turn grey values into those of a screen.

    Args:
        image: (h, w), any numeric type.
        limits: values shown as black and as white, in either order; None shows 8 bits as they are
            and stretches others between their percentiles 0.1 and 99.9.

    Returns:
        uint8 (h, w).
    """
    if limits is None:
        if image.dtype == np.uint8:
            return image
        step = max(1, math.isqrt(image.size // _SAMPLED_VALUES))
        sample = image[::step, ::step]
        sample = sample[np.isfinite(sample)]
        limits = tuple(np.percentile(sample, PERCENTILES)) if len(sample) else (0, 1)
    low, high = limits
    single = image.itemsize <= 4 and _LEAST_SPAN < abs(high - low) < 1 / _LEAST_SPAN
    shown = np.subtract(image, low, dtype=np.float32 if single else np.float64)
    shown *= 255 / (high - low) if high != low else 0
    return np.nan_to_num(np.clip(shown, 0, 255, out=shown), copy=False).round().astype(np.uint8)


def magnify(image: np.ndarray, scale: int) -> np.ndarray:
    """Enlarge a picture by a whole number."""
    if scale == 1:
        return image
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


def paint_cells(picture: np.ndarray, masks: PatchMasks, colours: np.ndarray, *, scale: int = 1,
                width: int = 1, fill: float = 0.0) -> None:
    """Draw the outline of each mask inside the mask, so that touching cells keep two lines.

    Args:
        picture: uint8 (scale * h, scale * w, 3), drawn upon.
        masks: N masks of (h, w).
        colours: uint8 (N, 3), of the same kind as the picture.
        scale: magnification of the picture.
        width: of the lines in pixels of the picture.
        fill: opacity of the inside, 0 to 1.
    """
    kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    for index, (x1, y1, x2, y2) in enumerate((masks.boxes * scale).tolist()):
        if x1 == x2:
            continue
        patch = masks.patch(index).repeat(scale, axis=0).repeat(scale, axis=1)
        framed = cv2.copyMakeBorder(patch, width, width, width, width, cv2.BORDER_CONSTANT)
        inner = cv2.erode(framed, kernel)[width:-width, width:-width]
        window = picture[y1:y2, x1:x2]
        if fill:
            inside = patch > 0
            window[inside] = np.rint(
                (1 - fill) * window[inside] + fill * colours[index]).astype(np.uint8)
        window[patch > inner] = colours[index]


def _line_width(masks: PatchMasks, scale: int) -> int:
    """Choose a width that is seen in the whole picture and leaves cells visible."""
    wanted = max(masks.height, masks.width) * scale / LINES_A_SIDE
    areas = masks.areas
    room = scale * math.sqrt(np.median(areas)) / 10 if len(areas) else wanted
    return max(1, round(min(wanted, room)))


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_manager.findfont('DejaVu Sans'), size)


def deepest_point(patch: np.ndarray) -> tuple[float, float, float]:
    """Find the point of a mask that is farthest from its outside: where a number goes.

    Args:
        patch: uint8 (h, w), not empty.

    Returns:
        x and y from the patch's top left corner, and the distance, in pixels.
    """
    distances = cv2.distanceTransform(np.pad(patch, 1), cv2.DIST_L2, 3)
    y, x = np.unravel_index(distances.argmax(), distances.shape)
    return float(x) - 0.5, float(y) - 0.5, float(distances[y, x])


def _write_numbers(picture: np.ndarray, masks: PatchMasks, scale: int) -> None:
    """Write labels at the points of cells that lie deepest inside them."""
    height, width = picture.shape[:2]
    for index, (x1, y1, x2, _) in enumerate(masks.boxes.tolist()):
        if x1 == x2:
            continue
        x, y, depth = deepest_point(masks.patch(index))
        font = _font(int(np.clip(1.1 * scale * depth, 9, 12 * scale)))
        text = str(index + 1)
        left, top, right, bottom = font.getbbox(text, stroke_width=1)
        begin_x = round((x1 + x) * scale - (right - left) / 2)
        begin_y = round((y1 + y) * scale - (bottom - top) / 2)
        begin_x = max(0, min(begin_x, width - right + left))
        begin_y = max(0, min(begin_y, height - bottom + top))
        window = picture[begin_y:begin_y + bottom - top, begin_x:begin_x + right - left]
        drawn = Image.fromarray(window)
        ImageDraw.Draw(drawn).text((-left, -top), text, 'white', font, stroke_width=1,
                                   stroke_fill='black')
        window[:] = np.asarray(drawn)


def _footer(frame: FrameResult, result: ImageResult, scale: int) -> np.ndarray:
    """Draw name, counts, legend and scale bar: uint8 (rows, w, 3)."""
    cells = frame.detections
    width = frame.size[1] * scale
    size = max(12, round(max(frame.size) * scale / 70))
    font, gap = _font(size), size
    counts = np.bincount(cells.labels, minlength=len(result.classes))
    place = ' '.join(f'{axis} {index}' for axis, index, count in zip(
        'tz', (frame.t, frame.z), result.stack_size, strict=True) if count > 1)
    # A font has no picture of a line break.
    name = ''.join(each if each.isprintable() else ' ' for each in os.path.basename(result.name))
    title = f'{name} {place}'.strip()
    items: list[tuple[str, tuple[int, int, int] | float | None]] = [
        (_shorten(title, font, width - 2 * gap), None),
        (f'{len(cells):,} cell{"" if len(cells) == 1 else "s"}', None)]
    items += [(f'{name} {count:,}', colour) for name, count, colour in zip(
        result.classes, counts, result.colours, strict=True) if count]
    if result.pixel_size is not None:
        length = scale_bar_length(frame.size[1] * result.pixel_size / 4)
        items.append((f'{length:g} µm', length / result.pixel_size * scale))
    lines: list[list] = [[]]
    x = float(gap)
    for text, mark in items:
        space = size * 1.2 if isinstance(mark, tuple) else (mark + gap / 2 if mark else 0)
        end = x + space + font.getlength(text)
        if end > width - gap / 2 and lines[-1]:
            lines.append([])
            end, x = end - x + gap, float(gap)
        lines[-1].append((x, space, text, mark))
        x = end + 1.5 * gap
    bar = Image.new('RGB', (width, round(size * (0.8 + 1.5 * len(lines)))), 'white')
    draw = ImageDraw.Draw(bar)
    for row, line in enumerate(lines):
        middle = size * (1.15 + 1.5 * row)
        for x, space, text, mark in line:
            if isinstance(mark, tuple):
                draw.rectangle((x, middle - size * 0.4, x + size * 0.8, middle + size * 0.4),
                               mark, 'black', max(1, size // 16))
            elif mark:
                draw.rectangle((x, middle - size * 0.12, x + mark - 1, middle + size * 0.12),
                               'black')
            draw.text((x + space, middle), text, 'black', font, anchor='lm')
    return np.asarray(bar)


def _shorten(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """Cut the middle out of a text that is too long for a line."""
    if font.getlength(text) <= width:
        return text
    half = len(text) // 2
    while half > 3 and font.getlength(f'{text[:half]}…{text[-half:]}') > width:
        half -= 1
    return f'{text[:half]}…{text[-half:]}'


def scale_bar_length(most: float) -> float:
    """Choose the length of a scale bar: 1, 2 or 5 times a power of ten.

    Args:
        most: length that it must not pass, above 0.

    Example:
        >>> scale_bar_length(114.4)
        100.0
    """
    power = 10.0 ** math.floor(math.log10(most))
    return max(factor * power for factor in (1, 2, 5) if factor * power <= most)

"""Small pictures of images, without anything drawn on them, for pages that draw by themselves."""
import os
from pathlib import Path

import cv2
import numpy as np

from mmsart.formats.overlay import to_display
from mmsart.structures.image_result import ImageResult
from mmsart.utils.pictures import write_picture

LARGEST_SIDE = 1_600
QUALITY = 85


def write_previews(folder: str | os.PathLike, stem: str, result: ImageResult) -> list[Path]:
    """Write each frame as JPEG of at most :data:`LARGEST_SIDE` pixels per side.

    Args:
        folder: where to write; made if it is missing.
        stem: begin of the files' names.
        result: what was found.

    Returns:
        The files, one per frame.

    Raises:
        UserError: the folder cannot be written.
        OSError: the disk is full, or fails.
    """
    paths = preview_paths(folder, stem, result)
    for path, frame in zip(paths, result.frames, strict=True):
        picture = to_display(np.asarray(frame.image), result.display_range)
        write_picture(path, shrink(picture, LARGEST_SIDE), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return paths


def preview_paths(folder: str | os.PathLike, stem: str, result: ImageResult) -> list[Path]:
    """List the files that :func:`write_previews` writes.

    Args:
        folder: where to write.
        stem: begin of the files' names.
        result: what was found.

    Returns:
        The files, one per frame, written or not.
    """
    return [Path(folder) / f'{stem}{result.frame_suffix(frame)}.jpg' for frame in result.frames]


def shrink(picture: np.ndarray, largest_side: int) -> np.ndarray:
    """Make a picture smaller, where it is larger than asked for.

    Args:
        picture: (h, w) or (h, w, 3).
        largest_side: pixels of the longer side.

    Returns:
        The picture; its shorter side keeps a pixel, however long the other is.
    """
    height, width = picture.shape[:2]
    factor = largest_side / max(height, width)
    if factor >= 1:
        return picture
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)

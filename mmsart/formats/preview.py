"""Small pictures of images, without anything drawn on them, for pages that draw by themselves."""
import os
from pathlib import Path

import cv2
import numpy as np

from mmsart.formats.overlay import to_display
from mmsart.structures.image_result import FrameResult, ImageResult
from mmsart.utils import UserError, atomic_write

PREVIEWS = '.mmsart'
"""Folder for them in a folder of results."""

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
        UserError: a file cannot be written.
    """
    paths = []
    for frame in result.frames:
        paths.append(Path(folder) / f'{stem}{result.frame_suffix(frame)}.jpg')
        with atomic_write(paths[-1]) as temporary:
            if not cv2.imwrite(str(temporary), _shrink(frame, result),
                               [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
                raise UserError(f'{paths[-1]}: cannot be written')
    return paths


def _shrink(frame: FrameResult, result: ImageResult) -> np.ndarray:
    picture = to_display(np.asarray(frame.image), result.display_range)
    factor = LARGEST_SIDE / max(picture.shape)
    if factor >= 1:
        return picture
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)

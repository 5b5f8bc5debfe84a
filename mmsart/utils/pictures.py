"""Writing pictures; apart from the other files, because OpenCV takes a while to import."""
import os
from collections.abc import Sequence

import cv2
import numpy as np

from mmsart.utils.errors import UserError
from mmsart.utils.files import atomic_write


def write_picture(path: str | os.PathLike, picture: np.ndarray, params: Sequence[int] = (),
                  ) -> None:
    """Write a picture that appears whole or not at all.

    `cv2.imwrite` does not say why a file could not be written, such as for a full disk.

    Args:
        path: the file; its ending names the format. Missing parent folders are made.
        picture: uint8 (h, w), or (h, w, 3) in RGB.
        params: OpenCV's pairs of an ``IMWRITE_`` flag and its value.

    Raises:
        UserError: its folder cannot be written, or the format cannot hold the picture.
        OSError: the disk is full, or fails.
    """
    if picture.ndim == 3:
        picture = picture[..., ::-1]
    with atomic_write(path) as temporary:
        done, data = cv2.imencode(temporary.suffix, np.ascontiguousarray(picture), params)
        if not done:
            height, width = picture.shape[:2]
            raise UserError(f'{path}: found a picture of {width} x {height} pixels, expected one '
                            f'that a {temporary.suffix} file can hold')
        temporary.write_bytes(data.data)

"""Grey values that stay in their file until somebody asks for them."""
from __future__ import annotations

from typing import Any

import numpy as np

from mmsart.imaging.stack import ImageStack


class RawPlane:
    """The grey values of a frame, read from the file whenever they are asked for.

    Args:
        stack: the open file.
        number: of the frame.
    """

    def __init__(self, stack: ImageStack, number: int) -> None:
        self._stack, self._number = stack, number
        self.shape = (stack.height, stack.width)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Read the grey values."""
        return np.asarray(self._stack.read_raw(self._number), dtype)

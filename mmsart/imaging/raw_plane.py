"""Grey values that stay in their file until somebody asks for them."""
from __future__ import annotations

import os
import weakref
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from mmsart.imaging.read_options import Image, ReadOptions
from mmsart.imaging.stack import ImageStack
from mmsart.utils.errors import UserError

OPEN_FILES = 16
"""Stacks that stay open: each holds up to two of the thousand files that a process may have."""


class StackFile:
    """The file of a stack, which is closed while others are read and opened when it is asked for.

    Args:
        stack: the open file.
        image: what was opened.
        read: how it was opened.
    """

    _recent: ClassVar[list[weakref.ref[StackFile]]] = []

    def __init__(self, stack: ImageStack, image: Image, read: ReadOptions) -> None:
        self._stack: ImageStack | None = stack
        self.height, self.width, self._frames = stack.height, stack.width, len(stack)
        self._image = image if isinstance(image, np.ndarray) else os.path.abspath(image)
        # Grey values hang on no limits, and to find these all frames would be read.
        self._read = replace(read, normalize=(0, 1))
        self._come_first()

    def read_raw(self, number: int) -> np.ndarray:
        """Read the grey values of a frame.

        Args:
            number: from 0, depths running fastest.

        Returns:
            (h, w), of the dtype of the file.

        Raises:
            UserError: the file is not there any more, or another one.
        """
        if self._stack is None:
            self._stack = self._read.open(self._image)
            found = self._stack.height, self._stack.width, len(self._stack)
            if found != (self.height, self.width, self._frames):
                self.close()
                raise UserError(f'{self._image}: the file has changed since the cells were found, '
                                'expected the same')
        self._come_first()
        return self._stack.read_raw(number)

    def close(self) -> None:
        """Close the file, until grey values are asked for again."""
        if self._stack is not None:
            self._stack.close()
            self._stack = None

    def _come_first(self) -> None:
        """Stand for the one that was read last, and close those that were not for long."""
        recent = [each for each in StackFile._recent if each() not in (None, self)]
        for old in recent[OPEN_FILES - 1:]:
            if (file := old()) is not None:
                file.close()
        StackFile._recent[:] = [weakref.ref(self), *recent[:OPEN_FILES - 1]]


class RawPlane:
    """The grey values of a frame, read from the file whenever they are asked for.

    Args:
        stack: the file.
        number: of the frame.
    """

    def __init__(self, stack: ImageStack | StackFile, number: int) -> None:
        self._stack, self._number = stack, number
        self.shape = (stack.height, stack.width)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Read the grey values."""
        return np.asarray(self._stack.read_raw(self._number), dtype)

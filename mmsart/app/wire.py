"""Cells as a browser takes them in: few bytes, and the exact pixels."""
import json
import struct
from typing import Any

import numpy as np

from mmsart.app.corrections import FIRST_ID
from mmsart.structures.detections import Detections

ALIGNMENT = 4


def encode_cells(cells: Detections, facts: dict[str, Any]) -> bytes:
    """Write cells as one block, little-endian.

    Its parts: uint32 length of the header, the header as JSON (padded to 4 bytes), int32 (N,)
    ids, int32 (N, 4) boxes half-open xyxy, float32 (N,) scores, int32 (N,) labels, uint8 (N,)
    whether a hand has made the cell (padded), and the patches, a bit per pixel, the first in the
    highest bit, row after row and patch after patch without a gap.

    Args:
        cells: with ids.
        facts: plain data for the header, beside ``count``, ``height`` and ``width``.

    Returns:
        The block.
    """
    ids = np.arange(len(cells)) if cells.ids is None else cells.ids
    header = json.dumps(dict(facts, count=len(cells), height=cells.masks.height,
                             width=cells.masks.width)).encode()
    header += b' ' * (-len(header) % ALIGNMENT)
    parts = [
        ids.astype('<i4').tobytes(), cells.masks.boxes.astype('<i4').tobytes(),
        cells.scores.astype('<f4').tobytes(), cells.labels.astype('<i4').tobytes(),
        _padded((ids >= FIRST_ID).astype(np.uint8).tobytes()),
        np.packbits(cells.masks.data).tobytes()]
    return b''.join([struct.pack('<I', len(header)), header, *parts])


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)

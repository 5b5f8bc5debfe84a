"""What the page draws by itself: a picture, and the outlines of cells as SVG paths."""
from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from mmsart.evaluation.functional.error_kinds import GT_KINDS, PRED_KINDS
from mmsart.formats.overlay import deepest_point
from mmsart.formats.preview import LARGEST_SIDE
from mmsart.report.results import ResultFrame
from mmsart.report.truth import Comparison
from mmsart.structures.mask.outlines import Polygon, trace_outline
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.utils import UserError

THUMBNAIL_SIDE = 240
_TOLERANCE = 0.5  # pixels of a shrunk picture that an outline may be off
_NO_PICTURE = 200  # grey


@dataclass(frozen=True)
class Drawing:
    """A frame as it is drawn.

    Attributes:
        frame: what is drawn.
        scale: pixels of the picture for one of the image, at most 1.
        picture: JPEG of the frame; None if there is none.
        outlines: of each cell, in pixels of the image.
    """

    frame: ResultFrame
    scale: float
    picture: bytes | None
    outlines: list[list[Polygon]]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        masks = self.frame.detections.masks
        return (max(1, round(masks.height * self.scale)), max(1, round(masks.width * self.scale)))


def draw_frame(frame: ResultFrame) -> Drawing:
    """Trace the cells of a frame and read its picture."""
    masks = frame.detections.masks
    return Drawing(
        frame, min(1.0, LARGEST_SIDE / max(masks.height, masks.width)),
        None if frame.preview is None else frame.preview.read_bytes(), trace_all(masks))


def trace_all(masks: PatchMasks) -> list[list[Polygon]]:
    """Trace the outline of each mask, in pixels of the image."""
    return [trace_outline(masks.patch(index), x, y)
            for index, (x, y, _, _) in enumerate(masks.boxes.tolist())]


def thumbnail(drawing: Drawing, colours: Sequence[tuple[int, int, int]]) -> str:
    """Draw a small picture with outlines.

    Args:
        drawing: the frame.
        colours: RGB of each class.

    Returns:
        A ``data:`` address.
    """
    height, width = drawing.size
    factor = THUMBNAIL_SIDE / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    picture: np.ndarray = np.full((*size[::-1], 3), _NO_PICTURE, np.uint8)
    if drawing.picture is not None:
        read = cv2.imdecode(np.frombuffer(drawing.picture, np.uint8), cv2.IMREAD_COLOR)
        if read is None:
            raise UserError(f'{drawing.frame.preview}: unreadable, expected a JPEG picture')
        picture = cv2.resize(read, size, interpolation=cv2.INTER_AREA)
    shift = 4  # of OpenCV's fixed point
    zoom = size[0] / drawing.frame.detections.masks.width * (1 << shift)
    for label, polygons in zip(drawing.frame.detections.labels, drawing.outlines, strict=True):
        rings = [np.rint(ring * zoom).astype(np.int32) for polygon in polygons
                 for ring in (polygon.exterior, *polygon.holes)]
        cv2.polylines(picture, rings, True, colours[label][::-1], 1, cv2.LINE_AA, shift)
    _, data = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 75])
    return data_address(data.tobytes())


def view(drawing: Drawing, comparison: Comparison | None = None) -> dict[str, Any]:
    """Describe a frame for the page's viewer.

    Args:
        drawing: the frame.
        comparison: with its truth, where there is one.

    Returns:
        Plain data: ``width`` and ``height`` of the ``picture``, its ``scale`` and the typical
        ``side`` of a cell in pixels of the image; of cells ``label``, ``path`` (SVG),
        ``at`` (where the number goes), ``cls``, ``score`` and ``area``, and with truth ``kind``;
        then also ``truth`` with ``path`` and ``kind``.
    """
    cells = drawing.frame.detections
    height, width = drawing.size
    shown = [index for index, outline in enumerate(drawing.outlines) if outline]
    areas = cells.masks.areas
    described: dict[str, Any] = dict(
        t=drawing.frame.t, z=drawing.frame.z, width=width, height=height,
        scale=round(drawing.scale, 4), side=_typical_side(areas),
        picture=None if drawing.picture is None else data_address(drawing.picture),
        label=[index + 1 for index in shown],
        path=[svg_path(drawing.outlines[index], drawing.scale) for index in shown],
        at=[_number_place(cells.masks, index, drawing.scale) for index in shown],
        cls=[int(cells.labels[index]) for index in shown],
        score=[round(float(cells.scores[index]), 3) for index in shown],
        area=[int(areas[index]) for index in shown])
    if comparison is not None:
        described['kind'] = [PRED_KINDS[comparison.kinds.pred[index]] for index in shown]
        described['truth'] = dict(
            path=[svg_path(outline, drawing.scale)
                  for outline in trace_all(comparison.truth.masks)],
            kind=[GT_KINDS[kind] for kind in comparison.kinds.gt])
    return described


def svg_path(polygons: Sequence[Polygon], scale: float) -> str:
    """Write the rings of a cell as an SVG path, to be filled by the even-odd rule.

    Args:
        polygons: pieces in pixels of the image.
        scale: pixels of the picture for one of the image; below 1 rings are simplified to half a
            pixel of the picture.

    Example:
        >>> svg_path(trace_outline(np.array([[1, 1]])), 1)
        'M0 0h2v1h-2z'
    """
    return ''.join(_svg_ring(ring, scale) for polygon in polygons
                   for ring in (polygon.exterior, *polygon.holes))


def _svg_ring(ring: np.ndarray, scale: float) -> str:
    points = ring
    if scale < 1:
        simple = cv2.approxPolyDP((ring * scale).astype(np.float32), _TOLERANCE, True)[:, 0]
        points = np.rint(simple * 10).astype(int) / 10
    text = [f'M{points[0, 0]:g} {points[0, 1]:g}']
    for right, down in np.diff(points, axis=0).round(1).tolist():
        if not down:
            text.append(f'h{right:g}')
        elif not right:
            text.append(f'v{down:g}')
        else:
            text.append(f'l{right:g} {down:g}')
    return ''.join(text) + 'z'


def _typical_side(areas: np.ndarray) -> float:
    """Return the side of a square as large as the middle one of the cells, in pixels."""
    return round(float(np.sqrt(np.median(areas))), 1) if len(areas) else 1.0


def _number_place(masks: PatchMasks, index: int, scale: float) -> list[float]:
    x, y, _ = deepest_point(masks.patch(index))
    left, top = masks.boxes[index, :2].tolist()
    return [round((left + x) * scale, 1), round((top + y) * scale, 1)]


def data_address(jpeg: bytes) -> str:
    """Put a JPEG file into an address."""
    return 'data:image/jpeg;base64,' + base64.b64encode(jpeg).decode('ascii')

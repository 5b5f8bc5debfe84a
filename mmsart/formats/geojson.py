"""Cells as GeoJSON for QuPath."""
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from mmsart.structures.image_result import FrameResult, ImageResult
from mmsart.structures.mask.outlines import Polygon, trace_outline
from mmsart.utils import atomic_write


def write_geojson(path: str | os.PathLike, result: ImageResult) -> None:
    """Write a feature collection of QuPath detections, one line per cell.

    Corners are those of pixels, in pixels from the top left, so a polygon has the area of its
    mask; holes are holes, cells in pieces are MultiPolygons. A detection has its label as name,
    its class with the class's colour, score and areas as measurements and, in a stack, the plane
    it stands on. QuPath 0.4 and later opens the file by dragging it onto the image.

    Args:
        path: the file to write.
        result: what was found.
    """
    with atomic_write(path) as temporary, temporary.open('w', encoding='utf-8') as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for number, feature in enumerate(_features(result)):
            file.write((',\n' if number else '\n') + json.dumps(feature, ensure_ascii=False))
        file.write('\n]}\n')


def _features(result: ImageResult) -> Iterator[dict[str, Any]]:
    for frame in result.frames:
        for index in range(len(frame.detections)):
            geometry = _geometry(frame, index, stacked=result.stack_size != (1, 1))
            if geometry is not None:
                yield dict(type='Feature', geometry=geometry,
                           properties=_properties(frame, index, result))


def _geometry(frame: FrameResult, index: int, stacked: bool) -> dict[str, Any] | None:
    """Outline one cell; None for a mask without pixels."""
    masks = frame.detections.masks
    left, top = masks.boxes[index, :2].tolist()
    pieces = [_rings(polygon) for polygon in trace_outline(masks.patch(index), left, top)]
    if not pieces:
        return None
    geometry: dict[str, Any] = (
        dict(type='Polygon', coordinates=pieces[0]) if len(pieces) == 1
        else dict(type='MultiPolygon', coordinates=pieces))
    if stacked:
        geometry['plane'] = dict(c=-1, z=frame.z, t=frame.t)  # -1: all channels
    return geometry


def _rings(polygon: Polygon) -> list[list[list[int]]]:
    """Close the rings, as GeoJSON wants them."""
    return [np.concatenate([ring, ring[:1]]).tolist()
            for ring in (polygon.exterior, *polygon.holes)]


def _properties(frame: FrameResult, index: int, result: ImageResult) -> dict[str, Any]:
    detections = frame.detections
    label = int(detections.labels[index])
    area = int(np.count_nonzero(detections.masks.patch(index)))
    measurements = {'Label': index + 1, 'Score': round(float(detections.scores[index]), 4),
                    'Area px^2': area}
    if result.pixel_size is not None:
        measurements['Area µm^2'] = area * result.pixel_size ** 2
    return dict(
        objectType='detection', name=str(index + 1),
        classification=dict(name=result.classes[label], color=list(result.colours[label])),
        measurements=measurements)

"""Regions of interest for ImageJ and Fiji, along the edges of the cells' pixels."""
import os
import zipfile

import numpy as np
import roifile

from mmsart.structures.image_result import FrameResult, ImageResult
from mmsart.structures.mask.outlines import Polygon, trace_outline
from mmsart.utils import UserError, atomic_write

LARGEST_COORDINATE = 60_535  # stored in 16 bits, of which ImageJ reads the last 5,000 as negative
_MOVE, _LINE, _CLOSE = 0, 1, 4  # of java.awt.geom.PathIterator
_GROUPS = 255  # a region's group is one byte; 0 is none


def write_imagej_rois(path: str | os.PathLike, result: ImageResult) -> None:
    """Write a ZIP of regions for ImageJ's ROI Manager.

    A cell is a traced region, one with holes or in pieces a composite one; filled in ImageJ they
    give the label image, pixel for pixel. The name is the cell's label, the group its class (from
    1), the properties hold class and score. ImageJ has colours of its own for groups; for other
    readers the stroke has the class's. In a stack the region stands on its slice, or on its z and
    t in a hyperstack, which a series of several channels is too, and the file's name in the ZIP
    begins with them.

    Args:
        path: the file to write.
        result: what was found.

    Raises:
        UserError: the image is too large for the format.
    """
    height, width = result.size
    if max(height, width) > LARGEST_COORDINATE:
        raise UserError(f'{result.name}: found {width} x {height} pixels, expected at most '
                        f'{LARGEST_COORDINATE} a side in regions for ImageJ')
    with atomic_write(path) as temporary, zipfile.ZipFile(
            temporary, 'w') as archive:
        for number, frame in enumerate(result.frames, start=1):
            prefix = result.frame_suffix(frame).lstrip('_')
            for index in range(len(frame.detections)):
                roi = _make_roi(frame, index, result)
                if roi is None:
                    continue
                _set_position(roi, frame, number, result)
                entry = zipfile.ZipInfo(f'{prefix}_{roi.name}.roi'.lstrip('_'))  # without a time
                archive.writestr(entry, roi.tobytes(), zipfile.ZIP_DEFLATED)


def _make_roi(frame: FrameResult, index: int, result: ImageResult) -> roifile.ImagejRoi | None:
    """Outline one cell; None for a mask without pixels."""
    detections = frame.detections
    left, top = detections.masks.boxes[index, :2].tolist()
    polygons = trace_outline(detections.masks.patch(index), left, top)
    if not polygons:
        return None
    simple = len(polygons) == 1 and not polygons[0].holes
    roi = _traced(polygons[0].exterior) if simple else _composite(polygons)
    label = int(detections.labels[index])
    roi.name = str(index + 1)
    roi.group = label % _GROUPS + 1
    roi.stroke_color = bytes((255, *result.colours[label]))
    name = ' '.join(result.classes[label].split())  # a line break would end the property
    roi.props = f'class: {name}\nscore: {detections.scores[index]:.4f}\n'
    return roi


def _traced(ring: np.ndarray) -> roifile.ImagejRoi:
    """Make a region as ImageJ's wand does: corners of pixels, whole numbers."""
    roi = _boxed(roifile.ROI_TYPE.TRACED, ring)
    roi.integer_coordinates = ring - np.array([roi.left, roi.top], np.int32)
    roi.n_coordinates = len(ring)
    return roi


def _composite(polygons: list[Polygon]) -> roifile.ImagejRoi:
    """Make a region of several rings, of which ImageJ fills what an odd number encloses."""
    rings = [ring for polygon in polygons for ring in (polygon.exterior, *polygon.holes)]
    roi = _boxed(roifile.ROI_TYPE.RECT, np.concatenate(rings))
    path = []
    for ring in rings:
        segments = np.full((len(ring), 3), _LINE, np.float32)
        segments[0, 0] = _MOVE
        segments[:, 1:] = ring
        path += [segments.ravel(), np.array([_CLOSE], np.float32)]
    roi.multi_coordinates = np.concatenate(path)
    roi.shape_roi_size = len(roi.multi_coordinates)
    return roi


def _boxed(roitype: roifile.ROI_TYPE, corners: np.ndarray) -> roifile.ImagejRoi:
    """Make a region with the bounding box of its corners."""
    roi = roifile.ImagejRoi()
    roi.roitype = roitype
    roi.left, roi.top = corners.min(axis=0).tolist()
    roi.right, roi.bottom = corners.max(axis=0).tolist()
    return roi


def _set_position(roi: roifile.ImagejRoi, frame: FrameResult, number: int,
                  result: ImageResult) -> None:
    """Put a region on its slice, counted from 1; ImageJ reads z and t in hyperstacks alone.

    A file of several channels is a hyperstack too. The region stands on all of its channels.
    """
    lengths = (*result.stack_size, result.num_channels)
    if sum(length > 1 for length in lengths) > 1:
        roi.t_position, roi.z_position = frame.t + 1, frame.z + 1
    elif max(result.stack_size) > 1:
        roi.position = number

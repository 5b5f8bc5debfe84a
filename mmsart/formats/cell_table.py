"""Tables of cells: place, shape and brightness of each."""
import os
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from mmsart.structures.image_result import FrameResult, ImageResult
from mmsart.structures.mask.region_properties import region_properties
from mmsart.utils import atomic_write

PLACES = ('centroid-0', 'centroid-1', 'bbox-0', 'bbox-1', 'bbox-2', 'bbox-3')
LENGTHS = ('perimeter', 'equivalent_diameter_area', 'feret_diameter_max', 'axis_major_length',
           'axis_minor_length')
SHAPES = ('eccentricity', 'solidity', 'circularity')
INTENSITIES = ('intensity_mean', 'intensity_std', 'intensity_min', 'intensity_max')

CELLPROFILER_NAMES = {
    'image': 'FileName_Image', 't': 'Metadata_T', 'z': 'Metadata_Z', 'label': 'ObjectNumber',
    'class': 'Metadata_Class', 'score': 'Metadata_Score',
    'centroid-0_px': 'AreaShape_Center_Y', 'centroid-1_px': 'AreaShape_Center_X',
    'bbox-0_px': 'AreaShape_BoundingBoxMinimum_Y', 'bbox-1_px': 'AreaShape_BoundingBoxMinimum_X',
    'bbox-2_px': 'AreaShape_BoundingBoxMaximum_Y', 'bbox-3_px': 'AreaShape_BoundingBoxMaximum_X',
    'area_px': 'AreaShape_Area', 'perimeter_px': 'AreaShape_Perimeter',
    'equivalent_diameter_area_px': 'AreaShape_EquivalentDiameter',
    'feret_diameter_max_px': 'AreaShape_MaxFeretDiameter',
    'axis_major_length_px': 'AreaShape_MajorAxisLength',
    'axis_minor_length_px': 'AreaShape_MinorAxisLength',
    'eccentricity': 'AreaShape_Eccentricity', 'solidity': 'AreaShape_Solidity',
    'circularity': 'AreaShape_FormFactor', 'orientation_rad': 'AreaShape_Orientation',
    'intensity_mean': 'Intensity_MeanIntensity_Image',
    'intensity_std': 'Intensity_StdIntensity_Image',
    'intensity_min': 'Intensity_MinIntensity_Image',
    'intensity_max': 'Intensity_MaxIntensity_Image',
    'touches_border': 'Metadata_TouchesBorder', 'made': 'Metadata_Made'}
"""CellProfiler's name of each column; those that it has no measurement for are metadata."""


def cell_table(result: ImageResult) -> pd.DataFrame:
    """Measure the cells of an image.

    Args:
        result: what was found.

    Returns:
        A row per cell: image, t, z, label, class and score; then scikit-image's properties, see
        :func:`~mmsart.structures.mask.region_properties.region_properties`, with their unit at
        the end of the name (``area_px`` is a number of pixels); areas and lengths in um beside
        them where the pixel size is known; ``orientation_rad``; intensities in the grey values of
        the image; ``touches_border``, for cells that the image may cut; and ``made``, one of
        :data:`~mmsart.structures.image_result.MADE`.
    """
    return pd.concat([_frame_table(frame, result) for frame in result.frames], ignore_index=True)


def write_cell_table(path: str | os.PathLike, result: ImageResult,
                     cellprofiler: bool = False) -> None:
    """Write the cells as CSV.

    Args:
        path: the file to write.
        result: what was found.
        cellprofiler: use the names and units of CellProfiler: orientation in degrees, the first
            column ImageNumber, which counts the frames of this image. Intensities stay in the
            grey values of the image, and columns in um keep their names, since CellProfiler
            measures in pixels alone.
    """
    tables: Iterator[pd.DataFrame] = (
        _with_exact_intensities(_frame_table(frame, result)) for frame in result.frames)
    if cellprofiler:
        tables = _with_cellprofiler_names(tables)
    with atomic_write(path) as temporary, temporary.open('w', encoding='utf-8') as file:
        for number, table in enumerate(tables):
            table.to_csv(file, index=False, header=number == 0, float_format='%.6g',
                         lineterminator='\n')


def _with_exact_intensities(table: pd.DataFrame) -> pd.DataFrame:
    """Write out intensities with the nine digits that a float32 needs to be read back the same."""
    floats = table[[*INTENSITIES]].select_dtypes('floating')
    return table.assign(**floats.map('{:.9g}'.format, na_action='ignore'))


def _with_cellprofiler_names(tables: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Rename columns as CellProfiler names them, turn radians into degrees and number the frames
    from 1, in the first column."""
    for number, table in enumerate(tables, start=1):
        table = table.rename(columns=CELLPROFILER_NAMES)
        table['AreaShape_Orientation'] = np.rad2deg(table['AreaShape_Orientation'])
        table.insert(0, 'ImageNumber', number)
        yield table


def _frame_table(frame: FrameResult, result: ImageResult) -> pd.DataFrame:
    detections = frame.detections
    found = region_properties(detections.masks, np.asarray(frame.image))
    columns = {
        'image': np.full(len(detections), result.name, object), 't': frame.t, 'z': frame.z,
        'label': np.arange(1, len(detections) + 1),
        'class': np.asarray(result.classes, object)[detections.labels],
        'score': detections.scores}
    columns |= {f'{name}_px': found[name] for name in (*PLACES, 'area', *LENGTHS)}
    if result.pixel_size is not None:
        columns['area_um2'] = found['area'] * result.pixel_size ** 2
        columns |= {f'{name}_um': found[name] * result.pixel_size for name in LENGTHS}
    columns |= {name: found[name] for name in SHAPES}
    columns['orientation_rad'] = found['orientation']
    columns |= {name: found[name] for name in INTENSITIES}
    height, width = frame.size
    columns['touches_border'] = (
        (found['bbox-0'] == 0) | (found['bbox-1'] == 0)
        | (found['bbox-2'] == height) | (found['bbox-3'] == width))
    columns['made'] = np.asarray(frame.origins, object)
    return pd.DataFrame(columns)

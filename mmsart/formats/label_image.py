"""Label images: each pixel holds the number of its cell, 0 is background."""
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
from PIL import Image
from scipy import ndimage

from mmsart.imaging.errors import reading
from mmsart.imaging.raster import any_size
from mmsart.imaging.tiff import check_whole, whole_page
from mmsart.structures.image_result import ImageResult
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.utils import UserError, atomic_write, missing

STRIP_BYTES = 1 << 18  # of pixels, before compression: little to decode for a part of a large image


class NumberedMasks(NamedTuple):
    """The cells of a label image.

    Attributes:
        numbers: whole numbers (N,) of the image's dtype, at least 1 and rising.
        masks: N masks, none of them empty.
    """

    numbers: np.ndarray
    masks: PatchMasks


def paint_labels(masks: PatchMasks, dtype: type[np.integer] = np.int32) -> np.ndarray:
    """Paint masks into one image.

    Args:
        masks: N masks. A pixel that several share goes to the first.
        dtype: of the image; it must hold N.

    Returns:
        (height, width), i + 1 in mask i and 0 outside all.
    """
    image = np.zeros((masks.height, masks.width), dtype)
    boxes = masks.boxes.tolist()
    for index in range(len(masks) - 1, -1, -1):
        x1, y1, x2, y2 = boxes[index]
        np.copyto(image[y1:y2, x1:x2], index + 1, where=masks.patch(index) > 0)
    return image


def write_label_image(path: str | os.PathLike, result: ImageResult) -> None:
    """Write the cells as a TIFF with zlib compression, a page per frame.

    Up to 65,535 cells per frame it is uint16 with the metadata of ImageJ, which knows no larger
    whole numbers; above that int32 as OME-TIFF. Axes and pixel size are stored in either.

    Args:
        path: the file to write.
        result: what was found; frames are numbered by themselves, each from 1.
    """
    most = max(len(frame.detections) for frame in result.frames)
    dtype: type[np.integer] = np.uint16 if most <= np.iinfo(np.uint16).max else np.int32
    num_t, num_z = result.stack_size
    height, width = result.size
    stack = [(axis, count) for axis, count in (('T', num_t), ('Z', num_z)) if count > 1]
    axes = ''.join(axis for axis, _ in stack) + 'YX'
    shape = (*(count for _, count in stack), height, width)
    options = _imagej_options if dtype is np.uint16 else _ome_options

    def pages() -> Iterator[np.ndarray]:
        for frame in result.frames:
            yield paint_labels(frame.detections.masks, dtype)

    with atomic_write(path) as temporary, tifffile.TiffWriter(
            temporary, imagej=dtype is np.uint16, ome=dtype is np.int32) as tif:
        tif.write(pages(), shape=shape, dtype=dtype, compression='zlib', photometric='minisblack',
                  rowsperstrip=max(1, STRIP_BYTES // (width * np.dtype(dtype).itemsize)),
                  **options(axes, result))


def read_label_image(path: str | os.PathLike) -> dict[tuple[int, int], NumberedMasks]:
    """Read the cells of a label image, whoever wrote it.

    Args:
        path: a TIFF of whole numbers, one page or a stack, or a grey PNG of 8 or 16 bits.

    Returns:
        The cells of each frame by its time and depth, both from 0, in that order; pages of which
        the file does not say what they are count as times.

    Raises:
        MissingFileError: there is no such file.
        UserError: it is neither, or not whole.
    """
    return {place: find_masks(frame) for place, frame in read_numbers(path).items()}


def read_numbers(path: str | os.PathLike) -> dict[tuple[int, int], np.ndarray]:
    """Read the pixels of a label image.

    Args:
        path: as of :func:`read_label_image`.

    Returns:
        (height, width) whole numbers of each frame by its time and depth.

    Raises:
        MissingFileError: there is no such file.
        UserError: it is no label image, or not whole.
    """
    path = Path(path)
    if not path.is_file():
        raise missing(path, 'a label image')
    axes, labels = _read_png(path) if path.suffix.lower() == '.png' else _read_tiff(path)
    if labels.dtype.kind not in 'iu' or not axes.endswith('YX'):
        raise UserError(f'{path}: found axes {axes} of {labels.dtype}, expected a label image of '
                        'whole numbers')
    num_z = labels.shape[axes.index('Z')] if 'Z' in axes else 1
    frames = labels.reshape(-1, *labels.shape[-2:])
    return {divmod(number, num_z): frame for number, frame in enumerate(frames)}


def _read_tiff(path: Path) -> tuple[str, np.ndarray]:
    with reading(str(path), 'TIFF'), tifffile.TiffFile(path) as tif:
        check_whole(str(path), tif)
        series = tif.series[0]
        for number in range(len(series.pages)):
            whole_page(str(path), series, number)
        return series.axes, series.asarray()


def _read_png(path: Path) -> tuple[str, np.ndarray]:
    """Read the numbers of a PNG; of one with a palette, as some write colours, its indices."""
    with any_size(), reading(str(path), 'PNG'), Image.open(path, formats=['PNG']) as image:
        labels = np.asarray(image)
    return 'YXS'[:labels.ndim], labels


def find_masks(labels: np.ndarray) -> NumberedMasks:
    """Cut the cells out of a label image.

    Args:
        labels: (height, width) whole numbers; those below 1 are background.

    Returns:
        A mask for each number that occurs.
    """
    height, width = labels.shape
    if labels.max() > labels.size:  # `find_objects` takes memory by the highest number
        values, ranks = np.unique(labels, return_inverse=True)
        background = np.count_nonzero(values < 1)
        masks = find_masks(ranks.reshape(height, width) + 1 - background).masks
        return NumberedMasks(values[background:], masks)
    numbers, boxes, patches = [], [], []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        if place is not None:
            rows, columns = place
            numbers.append(number)
            boxes.append((columns.start, rows.start, columns.stop, rows.stop))
            patches.append(labels[place] == number)
    return NumberedMasks(np.array(numbers, labels.dtype),
                         PatchMasks.from_patches(patches, np.array(boxes), height, width))


def _imagej_options(axes: str, result: ImageResult) -> dict:
    size = result.pixel_size
    if size is None:
        return dict(metadata=dict(axes=axes))
    return dict(metadata=dict(axes=axes, unit='um'), resolutionunit='NONE',
                resolution=(1 / size, 1 / size))


def _ome_options(axes: str, result: ImageResult) -> dict:
    # tifffile would draw the UUID; the same cells are to give the same file.
    identity = uuid.uuid5(uuid.NAMESPACE_URL, result.name)
    metadata: dict[str, str | float] = dict(axes=axes, UUID=f'urn:uuid:{identity}')
    size = result.pixel_size
    if size is None:
        return dict(metadata=metadata)
    metadata |= dict(PhysicalSizeX=size, PhysicalSizeXUnit='µm',
                     PhysicalSizeY=size, PhysicalSizeYUnit='µm')
    return dict(metadata=metadata, resolutionunit='CENTIMETER', resolution=(1e4 / size, 1e4 / size))

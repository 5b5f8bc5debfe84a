"""TIFF in all its kinds: OME, ImageJ, LSM, pyramids and plain pages, by tifffile."""
from __future__ import annotations

import logging
import math
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile
from PIL import Image

from mmsart.imaging.errors import reading
from mmsart.imaging.source import (
    MAX_PIXELS,
    UM_PER_METRE,
    PixelSize,
    Source,
    square_pixel,
)
from mmsart.utils.errors import UserError

UM_PER_UNIT = {
    'm': 1e6, 'meter': 1e6, 'cm': 1e4, 'mm': 1e3, 'um': 1, 'micron': 1, 'microns': 1,
    'micrometer': 1, 'micrometre': 1, '\u00b5m': 1, '\u03bcm': 1, '\\u00b5m': 1, 'nm': 1e-3,
    'pm': 1e-6, '\u00e5': 1e-4}
"""Lengths by the names that OME and ImageJ give them. An inch is dpi's, which is no size."""

LARGEST_OF_TAGS = 10.0
"""um, the side of a pixel that the tag of pixels per centimetre may say: no microscope's is larger,
and 72 to 1,200 dots per inch of screens and printers, written in centimetres, are."""

SLIDES, SLIDE_PREVIEWS = ('svs', 'qpi', 'ndpi', 'scn'), ('Thumbnail', 'Label', 'Macro', 'Map')
"""Kinds of slide scanners' files, and what tifffile calls their images that are no slide."""

INKS = 4

Orient = Callable[[np.ndarray], np.ndarray]
ORIENTATIONS: dict[int, Orient] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}
"""What puts a plane the right way up, by the value of the tag Orientation (TIFF 6.0, page 36)."""

# tifffile tells in the log what it makes of a doubtful file. What matters raises here.
logging.getLogger('tifffile').setLevel(logging.CRITICAL)


class TiffFile:
    """A TIFF file; each group of like pages is a series, previews left out.

    OME-TIFF and Micro-Manager spread an image over several files. Those have to lie in one folder:
    a file that somebody sends could name any other of this computer.

    Args:
        path: the file, which may be one of a set.

    Raises:
        UserError: it is no whole TIFF file, or names files of other folders.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = str(path)
        with reading(self.path, 'TIFF'), ExitStack() as opened:
            self._tif = opened.enter_context(tifffile.TiffFile(path))
            found = _find_series(self.path, self._tif)
            self._notes = check_whole(self.path, self._tif)
            opened.pop_all()  # it is whole, and stays open
        self._numbers = [number for number, series in enumerate(found)
                         if not _is_preview(series)] or list(range(len(found)))
        self.series = tuple(f'{found[number].name or "image"}: {found[number].axes} '
                            + ' x '.join(map(str, found[number].shape))
                            for number in self._numbers)
        if not found:
            self._tif.close()
            raise UserError(f'{self.path}: found a TIFF file without an image, expected one')

    def axes(self, number: int) -> list[tuple[str, int]]:
        """List the axes of a series and their lengths, from its header alone."""
        series = self._tif.series[self._numbers[number]]
        return list(zip(series.axes, series.shape, strict=True))

    def source(self, number: int) -> Source:
        """Open one series."""
        series = self._tif.series[self._numbers[number]]
        if not math.prod(series.shape):
            raise UserError(f'{self.path}: found {" x ".join(map(str, series.shape))} pixels, '
                            'expected at least one')
        height, width = series.keyframe.imagelength, series.keyframe.imagewidth
        if height * width > MAX_PIXELS:
            raise UserError(f'{self.path}: found {width:,} x {height:,} pixels, expected at most '
                            f'{MAX_PIXELS:,}, such as a part of the slide')
        if series.kind == 'ome' and any(page is None for page in series.pages):
            self._check_set()
        with reading(self.path, 'TIFF'):
            show = _choose_show(self.path, series.keyframe)
            leading, shape, read_stored = self._planes(series)
            sizes, notes, names = self._metadata(self._numbers[number], series.keyframe)
            notes += self._notes
        files = sorted(map(os.path.basename, _files([series])))
        if len(files) > 1:
            notes += (f'an image of {len(files)} files, {files[0]} to {files[-1]}',)
        elif files != [os.path.basename(self.path)]:
            notes += (f'the image of {files[0]}, of which its metadata say that it lies there',)

        def read(index: tuple[int, ...]) -> np.ndarray:
            with reading(self.path, 'TIFF'):
                return show(read_stored(index))

        first = read((0,) * len(leading))
        if first.ndim not in (2, 3):  # as of a header whose numbers of samples disagree
            raise UserError(f'{self.path}: found a page of shape {first.shape}, expected rows and '
                            'columns, of colours also samples')
        return Source(
            self.path, leading + ('YX' if first.ndim == 2 else 'YXS'), (*shape, *first.shape),
            read, channel_names=names, pixel_sizes=sizes, warnings=notes, close=self.close,
            colours=_has_colours(series.keyframe),
            inverted=series.keyframe.photometric == tifffile.PHOTOMETRIC.MINISWHITE)

    def close(self) -> None:
        """Close the file."""
        self._tif.close()

    def _check_set(self) -> None:
        """Name a file of the set that is not there."""
        for file in _named_files(self._tif):
            if not os.path.isfile(os.path.join(os.path.dirname(self.path), file)):
                raise UserError(f'{self.path}: found no {file} beside it, expected all files of an '
                                'image in one folder')

    def _planes(
            self, series: tifffile.TiffPageSeries,
    ) -> tuple[str, tuple[int, ...], Callable[[tuple[int, ...]], np.ndarray]]:
        """Find the way of reading single planes that costs least memory.

        Returns:
            The axes that number the planes, their lengths, and a function from their indices to a
            plane, (h, w) or (h, w, s).
        """
        axes, page = series.axes, series.keyframe
        plane = next((plane for plane in ('YXS', 'SYX', 'YX') if axes.endswith(plane)), '')
        leading, shape = axes[:len(axes) - len(plane)], series.shape[:len(axes) - len(plane)]

        def samples_last(array: np.ndarray) -> np.ndarray:
            return np.moveaxis(array, 0, -1) if plane == 'SYX' else array

        if plane and series.dataoffset is not None and not series.is_multifile:
            stored = page.parent  # of a set, another file may hold all planes
            dtype = series.dtype.newbyteorder(stored.byteorder)
            mapped = np.memmap(stored.filehandle.path, dtype, 'r', series.dataoffset, series.shape)
            return leading, shape, lambda index: samples_last(
                mapped[index].astype(dtype.newbyteorder('=')))
        if plane and page.axes == plane and len(series.pages) == math.prod(shape):
            def read_page(index: tuple[int, ...]) -> np.ndarray:
                number = int(np.ravel_multi_index(index, shape)) if shape else 0
                return samples_last(whole_page(self.path, series, number).asarray())
            return leading, shape, read_page
        for number in range(len(series.pages)):
            whole_page(self.path, series, number)
        array = series.asarray()
        order = [*(axes.index(axis) for axis in axes if axis not in 'YXS'),
                 *(axes.index(axis) for axis in 'YXS' if axis in axes)]
        moved, leading = array.transpose(order), ''.join(a for a in axes if a not in 'YXS')
        return leading, moved.shape[:len(leading)], lambda index: moved[index]

    def _metadata(
            self, number: int, page: tifffile.TiffPage,
    ) -> tuple[tuple[PixelSize, ...], tuple[str, ...], tuple[str, ...]]:
        """Read pixel sizes, warnings about them, and the names of channels."""
        sizes: tuple[PixelSize, ...] = ()
        notes: tuple[str, ...] = ()
        names: tuple[str, ...] = ()
        if self._tif.is_ome and self._tif.ome_metadata:
            sizes, notes, names = _read_ome(self._tif.ome_metadata, number)
        for x, y, source in self._sides(page):
            found, remarks = square_pixel(x, y, source)
            sizes, notes = sizes + found, notes + remarks
        if not sizes and not self._tif.is_imagej:  # which has its own word for the unit
            x, y = (_side(page.tags.get(name), 'cm') for name in ('XResolution', 'YResolution'))
            metric = page.tags.valueof('ResolutionUnit') == tifffile.RESUNIT.CENTIMETER
            if metric and x and y and max(x, y) <= LARGEST_OF_TAGS:
                sizes, notes = square_pixel(x, y, 'TIFF')
        return sizes, notes, names

    def _sides(self, page: tifffile.TiffPage) -> Iterator[tuple[float | None, float | None, str]]:
        """Yield width and height of pixels in micrometres, as programs have written them."""
        tif = self._tif
        if tif.is_imagej and tif.imagej_metadata:
            unit = str(tif.imagej_metadata.get('unit', '')).strip().lower()
            x, y = (_side(tif.pages.first.tags.get(name), unit)
                    for name in ('XResolution', 'YResolution'))
            yield x, y, 'ImageJ'
        if tif.is_lsm and tif.lsm_metadata:
            x, y = (tif.lsm_metadata.get(f'VoxelSize{axis}', 0) * UM_PER_METRE for axis in 'XY')
            yield x, y, 'LSM'
        told = page.tags.valueof('MicroManagerMetadata')
        if isinstance(told, dict) and isinstance(told.get('PixelSizeUm'), int | float):
            yield told['PixelSizeUm'], told['PixelSizeUm'], 'Micro-Manager'


def _is_preview(series: tifffile.TiffPageSeries) -> bool:
    return series.keyframe.is_reduced or (
        series.kind in SLIDES and series.name in SLIDE_PREVIEWS)


def other_files(path: str | os.PathLike) -> set[str]:
    """List the other files over which the images of an OME-TIFF file are spread.

    Args:
        path: one of them.

    Returns:
        The paths of those from which opening this file takes planes beside its own; what its
        metadata name is not enough, which a file that was renamed or resized may have kept. None
        where it cannot be read.
    """
    try:
        with reading(str(path), 'TIFF'), tifffile.TiffFile(path) as tif:
            if not set(_named_files(tif)) - {os.path.basename(path)}:
                return set()
            files = _files(_find_series(str(path), tif))
            own = tif.filehandle.path
            return files - {own} if own in files else set()
    except (UserError, OSError):
        return set()


def check_whole(path: str, tif: tifffile.TiffFile) -> tuple[str, ...]:
    """Refuse a file that ends before its last page, of which tifffile gives the pages before.

    Args:
        path: what messages call it.
        tif: the open file.

    Returns:
        Warnings: of a page that was taken out of a stack, and says what the stack has said.

    Raises:
        UserError: it is cut off, or has no page.
    """
    pages, file, form = len(tif.pages), tif.filehandle, tif.tiff
    file.seek(tif.pages.next_page_offset or 0)  # where it says where the next page is, 0 for none
    pointer = file.read(form.offsetsize)
    following = (struct.unpack(form.offsetformat, pointer)[0] if len(pointer) == form.offsetsize
                 else file.size)
    if following + form.tagnosize > file.size:
        last = f'after page {pages - 1}' if pages else 'before its first page'
        raise UserError(f'{path}: found the file cut off {last}, expected a whole file')
    if not pages:
        raise UserError(f'{path}: found a TIFF file without an image, expected one')
    images = (tif.imagej_metadata or {}).get('images', 1) if tif.is_imagej else 1
    if images <= pages or tif.series[0].kind not in ('uniform', 'generic'):
        return ()
    if pages == 1 and _is_followed_by_pixels(tif):
        raise UserError(f'{path}: found fewer than the {images} images that ImageJ says, expected '
                        'a whole file')
    return (f'{pages} of the {images} images that ImageJ says',)


def _is_followed_by_pixels(tif: tifffile.TiffFile) -> bool:
    """Return whether more than the only page's own lies in a file, by a row of pixels at least.

    ImageJ describes the first image alone and writes the others behind it; tifffile takes what is
    left of them after a cut for a single image.
    """
    page = tif.pages.first
    ends = [(tif.pages.next_page_offset or 0) + tif.tiff.offsetsize,
            *map(sum, zip(page.dataoffsets, page.databytecounts, strict=True)),
            *(tag.valueoffset + tag.valuebytecount for tag in page.tags)]
    return tif.filehandle.size - max(ends) >= page.nbytes // page.imagelength


def whole_page(path: str, series: tifffile.TiffPageSeries,
               number: int) -> tifffile.TiffPage | tifffile.TiffFrame:
    """Return a page, but not one of which tifffile would fill what is missing with zeros.

    Args:
        path: what messages call the file.
        series: its pages.
        number: which one of them.

    Raises:
        UserError: it is missing, or cut off.
    """
    page = series.pages[number]
    if page is None:
        raise UserError(f'{path}: page {number} is missing, expected a whole file')
    ends = (begin + length for begin, length in
            zip(page.dataoffsets, page.databytecounts, strict=True))
    if max(ends, default=0) > page.parent.filehandle.size:
        raise UserError(f'{path}: page {number} is cut off, expected a whole file')
    return page


def _find_series(path: str, tif: tifffile.TiffFile) -> list[tifffile.TiffPageSeries]:
    """Find the images of a file, and open the other files in which their planes lie.

    Raises:
        UserError: those lie in other folders.
    """
    _check_beside(path, _named_files(tif))  # before any of them is opened
    found = list(tif.series)
    _check_beside(path, _files(found))
    return found


def _check_beside(path: str, files: Iterable[str]) -> None:
    """Refuse files that do not lie in the folder of this one, links followed."""
    folder = os.path.dirname(os.path.realpath(path))
    for file in files:
        if not Path(os.path.realpath(os.path.join(folder, file))).is_relative_to(folder):
            raise UserError(f'{path}: found that it names {file}, expected all files of an image '
                            'in one folder')


def _named_files(tif: tifffile.TiffFile) -> Iterator[str]:
    """Yield the other files that OME's metadata name, as they stand there."""
    if tif.is_ome and tif.ome_metadata:
        root = ElementTree.fromstring(tif.ome_metadata)
        for element in root.iter():
            # A file that was renamed names itself by its UUID, and some other file by its name.
            own = element.text and element.text == root.get('UUID')
            if element.tag.endswith('UUID') and 'FileName' in element.attrib and not own:
                yield element.attrib['FileName']


def _files(found: Iterable[tifffile.TiffPageSeries]) -> set[str]:
    """Collect the paths of the files in which planes lie."""
    return {page.parent.filehandle.path for series in found
            for page in (series.pages if series.is_multifile else [series.keyframe])
            if page is not None}


def _choose_show(path: str, page: tifffile.TiffPage) -> Orient:
    """Make the function from stored planes to grey values or colours, the right way up."""
    kinds, tag = tifffile.PHOTOMETRIC, page.tags.get('Orientation')
    turn = ORIENTATIONS.get(tag.value if tag else 1, ORIENTATIONS[1])
    encoded = page.photometric == kinds.YCBCR and page.compression != tifffile.COMPRESSION.JPEG
    if encoded or page.photometric in (kinds.CIELAB, kinds.ICCLAB):
        raise UserError(f'{path}: found colours as {kinds(page.photometric).name}, expected grey '
                        'values, a palette, RGB or CMYK')
    if page.photometric == kinds.SEPARATED:
        _check_inks(path, page)
        return lambda plane: turn(_inks_as_rgb(plane))
    # ImageJ shows grey values in the colours of a table, at 16 bits too; that changes no value.
    shown = page.parent.is_imagej
    if page.photometric == kinds.PALETTE and page.colormap is not None and not shown:
        palette = (page.colormap >> 8).astype(np.uint8).T
        return lambda plane: turn(palette[plane])
    return turn


def _has_colours(page: tifffile.TiffPage) -> bool:
    """Tell colours, and transparency beside grey, from the channels of fluorescence."""
    grey = page.photometric in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)
    return not grey or (page.extrasamples in ((1,), (2,)))  # associated alpha or not, alone


def _check_inks(path: str, page: tifffile.TiffPage) -> None:
    """Refuse inks other than cyan, magenta, yellow and black of 8 bits (TIFF 6.0, page 69)."""
    ink_set, inks = page.tags.get('InkSet'), page.samplesperpixel - len(page.extrasamples)
    if inks != INKS or page.dtype != np.uint8 or (ink_set and ink_set.value != 1):
        raise UserError(f'{path}: found {inks} inks of {page.dtype}, expected CMYK of uint8')


def _inks_as_rgb(plane: np.ndarray) -> np.ndarray:
    """Turn CMYK into RGB, by the library that does so for JPEG."""
    height, width = plane.shape[:2]
    inks = Image.frombytes('CMYK', (width, height), plane[..., :INKS].tobytes())
    return np.asarray(inks.convert('RGB'))


def _side(tag: Any, unit: str) -> float | None:
    """Turn pixels per unit, as a fraction, into micrometres per pixel."""
    if tag is None or unit not in UM_PER_UNIT or not all(tag.value):
        return None
    pixels, units = tag.value
    return UM_PER_UNIT[unit] * units / pixels


def _read_ome(
        xml: str, number: int,
) -> tuple[tuple[PixelSize, ...], tuple[str, ...], tuple[str, ...]]:
    images = [element for element in ElementTree.fromstring(xml) if element.tag.endswith('}Image')]
    if number >= len(images):
        return (), (), ()
    pixels = next(element for element in images[number] if element.tag.endswith('}Pixels'))
    sides = []
    for axis in 'XY':
        unit = pixels.get(f'PhysicalSize{axis}Unit', '\u00b5m').lower()
        value = pixels.get(f'PhysicalSize{axis}')
        sides.append(float(value) * UM_PER_UNIT[unit] if value and unit in UM_PER_UNIT else None)
    names = tuple(element.get('Name') or '' for element in pixels
                  if element.tag.endswith('}Channel'))
    return *square_pixel(sides[0], sides[1], 'OME'), names if all(names) else ()

"""CZI, LIF and ND2, each where its package is installed.

The CZI files are written by Zeiss' library, the LIF files byte by byte after the description in
liffile; nothing at hand writes ND2, so there the package's reader is stood in for.
"""
import struct
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mmsart.imaging import count_series, open_image
from mmsart.utils import UserError

RNG = np.random.default_rng(0)


def write_czi(path, planes, scenes=1, size=0.325):
    czi = pytest.importorskip('pylibCZIrw.czi')
    with czi.create_czi(str(path)) as writer:
        for (t, z, c), plane in np.ndenumerate(planes):
            for scene in range(scenes):
                writer.write(plane[..., None] if plane.ndim == 2 else plane,
                             location=(scene * 100, 0), plane={'T': t, 'Z': z, 'C': c}, scene=scene)
        names = {c: name for c, name in enumerate(('DAPI', 'Phase')) if c < planes.shape[2]}
        writer.write_metadata('a', channel_names=names, scale_x=size * 1e-6, scale_y=size * 1e-6)


def as_objects(array):
    planes = np.empty(array.shape[:3], object)
    for index in np.ndindex(*planes.shape):
        planes[index] = array[index]
    return planes


def test_czi_by_time_depth_and_channel(tmp_path):
    array = RNG.integers(0, 4096, (2, 3, 2, 20, 30), dtype=np.uint16)
    write_czi(tmp_path / 'a.czi', as_objects(array))
    with pytest.raises(UserError, match=r'2 channels \(DAPI, Phase\), expected --channel'):
        open_image(tmp_path / 'a.czi')
    with open_image(tmp_path / 'a.czi', channel='Phase') as stack:
        assert (stack.axes, stack.sizes) == ('TZ', {'T': 2, 'Z': 3})
        assert stack.pixel_size == (pytest.approx(0.325), 'CZI')
        for frame in stack:
            np.testing.assert_array_equal(frame.raw, array[frame.t, frame.z, 1])


def test_czi_scenes_and_colours(tmp_path):
    array = RNG.integers(0, 256, (1, 1, 1, 20, 30, 3), dtype=np.uint8)
    write_czi(tmp_path / 'a.czi', as_objects(array[..., ::-1]), scenes=2)  # BGR in the file
    assert count_series(tmp_path / 'a.czi') == 2
    with pytest.raises(UserError, match='found 2 images in one file, expected --series N'):
        open_image(tmp_path / 'a.czi')
    with open_image(tmp_path / 'a.czi', series=1) as stack:
        np.testing.assert_array_equal(stack[0].image, array[0, 0, 0])


def write_czi_planes(path, planes, pixels):
    """Write some planes (t, z, c) of a file, the others left out as where a run was stopped."""
    czi = pytest.importorskip('pylibCZIrw.czi')
    with czi.create_czi(str(path)) as writer:
        for t, z, c in planes:
            writer.write(pixels[t, z, c, ..., None], location=(0, 0),
                         plane={'T': t, 'Z': z, 'C': c})
        writer.write_metadata('a', scale_x=5e-7, scale_y=5e-7)


@pytest.mark.parametrize('begin', [(5, 0, 0), (0, 3, 0), (5, 3, 2), (0, 0, 1)])
@pytest.mark.parametrize('count', [(1, 1, 1), (2, 1, 1), (1, 2, 1), (2, 2, 1), (2, 2, 2)])
def test_a_czi_file_of_a_part_that_was_saved_by_itself(tmp_path, begin, count):
    """It keeps the indices of the whole."""
    pixels = RNG.integers(0, 4096, (7, 5, 4, 20, 30), dtype=np.uint16)
    planes = [tuple(map(sum, zip(begin, index, strict=True))) for index in np.ndindex(*count)]
    write_czi_planes(tmp_path / 'a.czi', planes, pixels)
    with open_image(tmp_path / 'a.czi', channel=count[2] - 1 if count[2] > 1 else None) as stack:
        assert stack.sizes == {axis: n for axis, n in zip('TZ', count, strict=False) if n > 1}
        for frame in stack:
            np.testing.assert_array_equal(
                frame.raw, pixels[begin[0] + (frame.t or 0), begin[1] + (frame.z or 0),
                                  begin[2] + count[2] - 1])


def test_a_czi_file_of_a_run_that_was_stopped_has_no_black_frames(tmp_path):
    pixels = RNG.integers(0, 4096, (2, 2, 2, 20, 30), dtype=np.uint16)
    pixels[0, 0, 0] = 0  # black as it was taken
    write_czi_planes(tmp_path / 'a.czi', [(0, 0, 0), (0, 1, 0), (1, 0, 0)], pixels)
    with pytest.raises(UserError, match=r'a.czi: found no pixels at T 1, Z 1, C 0 \(from 0\), exp'):
        open_image(tmp_path / 'a.czi')
    write_czi_planes(tmp_path / 'b.czi', [(t, z, 1) for t in (0, 1) for z in (0, 1)] + [(1, 0, 0)],
                     pixels)
    with open_image(tmp_path / 'b.czi', channel=1) as stack:  # the other is taken more seldom
        assert len(stack) == 4


def write_lif(path, images):
    """Write images (t, z, y, x) uint16 with pixels of 0.5 um, as LIF version 2."""
    elements, blocks = [], []
    for number, image in enumerate(images):
        steps = [image.itemsize * int(np.prod(image.shape[axis + 1:])) for axis in range(4)]
        dimensions = ''.join(
            f'<DimensionDescription DimID="{kind}" NumberOfElements="{image.shape[axis]}" '
            f'Origin="0" Length="{(image.shape[axis] - 1) * 5e-7}" Unit="m" '
            f'BitInc="0" BytesInc="{steps[axis]}"/>'
            for kind, axis in ((1, 3), (2, 2), (3, 1), (4, 0)) if image.shape[axis] > 1)
        elements.append(
            f'<Element Name="image{number}"><Data><Image><ImageDescription><Channels>'
            '<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" '
            'NameOfMeasuredQuantity="" Min="0" Max="65535" Unit="" LUTName="Gray" '
            'IsLUTInverted="0" BytesInc="0" BitInc="0"/></Channels><Dimensions>'
            f'{dimensions}</Dimensions></ImageDescription></Image></Data>'
            f'<Memory Size="{image.nbytes}" MemoryBlockID="MemBlock_{number}"/></Element>')
        name = f'MemBlock_{number}'.encode('utf-16-le')
        blocks.append(struct.pack('<IIBQBI', 0x70, 0, 0x2A, image.nbytes, 0x2A, len(name) // 2)
                      + name + image.tobytes())
    xml = ('<LMSDataContainerHeader Version="2"><Element Name="a"><Children>'
           + ''.join(elements) + '</Children></Element></LMSDataContainerHeader>')
    text = xml.encode('utf-16-le')
    path.write_bytes(struct.pack('<IIBI', 0x70, len(text) + 5, 0x2A, len(text) // 2) + text
                     + b''.join(blocks))


def test_lif(tmp_path):
    pytest.importorskip('liffile')
    first = RNG.integers(0, 4096, (2, 3, 20, 30), dtype=np.uint16)
    second = RNG.integers(0, 4096, (1, 1, 15, 16), dtype=np.uint16)
    write_lif(tmp_path / 'a.lif', [first, second])
    assert count_series(tmp_path / 'a.lif') == 2
    with pytest.raises(UserError, match=r'--series all \(0: .*image0.*; 1: .*image1'):
        open_image(tmp_path / 'a.lif')
    with open_image(tmp_path / 'a.lif', series=0) as stack:
        assert (stack.axes, stack.sizes) == ('TZ', {'T': 2, 'Z': 3})
        assert stack.pixel_size == (pytest.approx(0.5), 'LIF')
        for frame in stack:
            np.testing.assert_array_equal(frame.raw, first[frame.t, frame.z])
    with open_image(tmp_path / 'a.lif', series=1) as stack:
        assert len(stack) == 1
        np.testing.assert_array_equal(stack[0].raw, second[0, 0])


class Nd2:
    """Two positions, then two times, of two channels, as nd2.ND2File shows them."""

    pixels = RNG.integers(0, 4096, (2, 2, 2, 20, 30), dtype=np.uint16)
    sizes = {'P': 2, 'T': 2, 'C': 2, 'Y': 20, 'X': 30}
    loop_indices = tuple({'P': p, 'T': t} for p in range(2) for t in range(2))
    metadata = SimpleNamespace(channels=[
        SimpleNamespace(channel=SimpleNamespace(name=name), volume=SimpleNamespace(
            axesCalibrated=[True] * 3, axesCalibration=[0.65, 0.65, 1.0]))
        for name in ('Phase', 'GFP')])

    def __init__(self, path):
        pass

    def read_frame(self, number):
        return self.pixels[divmod(number, 2)]

    def close(self):
        pass


def test_nd2(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'nd2', SimpleNamespace(ND2File=Nd2))
    path = tmp_path / 'a.nd2'
    path.write_bytes(b'\xda\xce\xbe\x0a')
    assert count_series(path) == 2
    with open_image(path, series=1, channel='gfp') as stack:
        assert (stack.axes, len(stack), stack.channel) == ('T', 2, 'GFP')
        assert stack.pixel_size == (pytest.approx(0.65), 'ND2')
        for frame in stack:
            np.testing.assert_array_equal(frame.raw, Nd2.pixels[1, frame.t, 1])


def test_early_nd2_begins_as_jpeg_2000_does(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40), np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'a.png', 'jpeg2000')
    with open_image(tmp_path / 'a.png') as stack:
        np.testing.assert_array_equal(stack[0].image, pixels)
    (tmp_path / 'a.png').rename(tmp_path / 'a.ND2')
    monkeypatch.setitem(sys.modules, 'nd2', None)
    with pytest.raises(UserError, match='ND2 files need the package nd2'):
        open_image(tmp_path / 'a.ND2')


@pytest.mark.parametrize(('magic', 'module', 'extra'), [
    (b'ZISRAWFILE', 'pylibCZIrw.czi', 'czi'), (b'\xda\xce\xbe\x0a', 'nd2', 'nd2'),
    (b'\x70\0\0\0', 'liffile', 'lif')])
def test_a_missing_package_is_named(tmp_path, monkeypatch, magic, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / 'a.bin').write_bytes(magic)
    with pytest.raises(UserError, match=rf"pip install 'mmsart\[{extra}\]'"):
        open_image(tmp_path / 'a.bin')

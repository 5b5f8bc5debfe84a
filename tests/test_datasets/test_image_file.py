"""Images of every kind: loaded with the values of the file, or refused by a line that says why.

Every file is made here from known values, so that loading has a truth to be held against.
"""
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from mmsart.datasets.image_file import find_unreadable, read_header
from mmsart.datasets.image_folder import image_size
from mmsart.datasets.transforms import LoadCachedImage
from mmsart.utils import MissingFileError, UserError

H, W = 37, 53
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (H, W), dtype=np.uint8)
RGB = RNG.integers(0, 256, (H, W, 3), dtype=np.uint8)
RGBA = RNG.integers(0, 256, (H, W, 4), dtype=np.uint8)
BITS = GREY > 127
SMOOTH = np.add.outer(np.arange(H), np.arange(W)).astype(np.uint8)  # which JPEG changes little


def tiff(array, **kwargs):
    return lambda path: tifffile.imwrite(path, array, **kwargs)


def pillow(array, mode=None, **kwargs):
    image = Image.fromarray(array)
    return lambda path: (image.convert(mode) if mode else image).save(path, **kwargs)


def packed(values, bits):
    """Pack the values of each row into whole bytes."""
    rows = [''.join(format(value, f'0{bits}b') for value in row) for row in values.tolist()]
    return [int(row + '0' * (-len(row) % 8), 2).to_bytes(-(-len(row) // 8), 'big') for row in rows]


def png(values, bits, colour=0, chunks=(), end=True):
    def chunk(name, data):
        return (struct.pack('>I', len(data)) + name + data
                + struct.pack('>I', zlib.crc32(name + data)))

    def write(path):
        head = struct.pack('>IIBBBBB', values.shape[1], values.shape[0], bits, colour, 0, 0, 0)
        data = zlib.compress(b''.join(b'\0' + row for row in packed(values, bits)))
        path.write_bytes(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + b''.join(
            chunk(*each) for each in chunks) + chunk(b'IDAT', data)
            + (chunk(b'IEND', b'') if end else b''))
    return write


def raw_tiff(values, bits, extra=()):
    """Write an uncompressed grey TIFF of any number of bits; see TIFF 6.0, section 2."""
    def write(path):
        data = b''.join(packed(values, bits))
        height, width = values.shape
        tags = sorted([
            (256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, 1),
            (273, 4, 8), (277, 3, 1), (278, 3, height), (279, 4, len(data)), *extra])
        path.write_bytes(
            b'II*\0' + struct.pack('<I', 8 + len(data)) + data + struct.pack('<H', len(tags))
            + b''.join(struct.pack('<HHII', tag, kind, 1, value) for tag, kind, value in tags)
            + bytes(4))
    return write


def low(bits):
    return RNG.integers(0, 1 << bits, (H, W))


def load(path):
    results = LoadCachedImage(max_mb=1).transform(dict(img_path=str(path), sample_idx=0))
    return results['img'][..., ::-1]


LOW = {bits: low(bits) for bits in (1, 2, 4, 10, 12, 14)}
PALETTE = Image.fromarray(RGB).quantize(16)
SHAPE = dict(photometric='minisblack')
UPRIGHT = Image.Exif()
UPRIGHT[0x112] = 1  # an orientation that turns nothing
RIGHT = {
    'grey.png': (pillow(GREY), GREY), 'rgb.png': (pillow(RGB), RGB),
    'rgba.png': (pillow(RGBA), RGBA[..., :3]), 'bits.png': (pillow(BITS), BITS * 255),
    'upright.png': (pillow(GREY, exif=UPRIGHT), GREY),
    'palette.png': (PALETTE.save, np.asarray(PALETTE.convert('RGB'))),
    '1bit.png': (png(LOW[1], 1), LOW[1] * 255), '2bit.png': (png(LOW[2], 2), LOW[2] * 85),
    '4bit.png': (png(LOW[4], 4), LOW[4] * 17),
    'behind.png': (lambda path: (pillow(GREY)(path),
                                 path.write_bytes(path.read_bytes() + bytes(50))), GREY),
    'grey.bmp': (pillow(GREY), GREY), 'rgb.bmp': (pillow(RGB), RGB),
    'bits.bmp': (pillow(BITS), BITS * 255),
    'palette.bmp': (PALETTE.save, np.asarray(PALETTE.convert('RGB'))),
    'grey.gif': (pillow(GREY), GREY), 'grey.tga': (pillow(GREY), GREY),
    'rgb.tga': (pillow(RGB), RGB), 'rgb.ico': (pillow(RGB, sizes=[(W, H)]), RGB),
    'rgb.sgi': (pillow(RGB), RGB), 'grey.pcx': (pillow(GREY), GREY),
    'rgb.jp2': (pillow(RGB), RGB), 'rgb.ppm': (pillow(RGB), RGB),
    'rgb.webp': (pillow(RGB, lossless=True), RGB),
    'grey.tif': (tiff(GREY, **SHAPE), GREY), 'white.tif': (
        tiff(GREY, photometric='miniswhite'), 255 - GREY),
    'rgb.tif': (tiff(RGB, photometric='rgb'), RGB),
    'alpha.tif': (tiff(RGBA, photometric='rgb', extrasamples=['unassalpha']), RGBA[..., :3]),
    'extra.tif': (tiff(RGBA, photometric='rgb', extrasamples=['unspecified']), RGBA[..., :3]),
    'grey_alpha.tif': (tiff(RGBA[..., :2].copy(), extrasamples=['unassalpha'],
                            planarconfig='contig', **SHAPE), RGBA[..., 0]),
    'planar.tif': (tiff(RGB.transpose(2, 0, 1).copy(), photometric='rgb',
                        planarconfig='separate'), RGB),
    'tiled.tif': (tiff(GREY, tile=(16, 16), **SHAPE), GREY),
    'tiled_planar.tif': (tiff(RGB.transpose(2, 0, 1).copy(), photometric='rgb', tile=(16, 16),
                              planarconfig='separate'), RGB),
    'strips.tif': (tiff(GREY, rowsperstrip=5, compression='zlib', **SHAPE), GREY),
    'lzw.tif': (tiff(RGB, photometric='rgb', compression='lzw'), RGB),
    'predictor.tif': (tiff(RGB, photometric='rgb', compression='zlib', predictor=True), RGB),
    'packbits.tif': (tiff(GREY, compression='packbits', **SHAPE), GREY),
    'zstd.tif': (tiff(GREY, compression='zstd', **SHAPE), GREY),
    'lzma.tif': (tiff(RGB, photometric='rgb', compression='lzma'), RGB),
    'bigtiff.tif': (tiff(GREY, bigtiff=True, **SHAPE), GREY),
    'motorola.tif': (tiff(GREY, byteorder='>', **SHAPE), GREY),
    'bits.tif': (tiff(BITS, **SHAPE), BITS * 255),
    'fax.tif': (pillow(BITS, compression='group4'), BITS * 255),
    '2bit.tif': (raw_tiff(LOW[2], 2), LOW[2] * 85), '4bit.tif': (raw_tiff(LOW[4], 4), LOW[4] * 17),
    'palette.tif': (PALETTE.save, np.asarray(PALETTE.convert('RGB'))),
    'png_inside.tif': (lambda path: pillow(GREY)(path.with_suffix('.png')) or
                       path.with_suffix('.png').rename(path), GREY),
}


@pytest.mark.parametrize('name', RIGHT)
def test_what_can_be_loaded_keeps_its_values(tmp_path, name):
    write, values = RIGHT[name]
    path = tmp_path / name
    write(path)
    assert image_size(path) == (H, W)
    truth = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
    np.testing.assert_array_equal(load(path), truth)
    assert find_unreadable([path]) == {}


@pytest.mark.parametrize(('name', 'write'), [
    ('grey.jpg', pillow(SMOOTH, quality=95)), ('cmyk.jpg', pillow(SMOOTH, 'CMYK', quality=95)),
    ('progressive.jpg', pillow(SMOOTH, quality=95, progressive=True)),
    ('jpeg.tif', tiff(SMOOTH, compression='jpeg', **SHAPE)),
    ('cmyk.tif', pillow(SMOOTH, 'CMYK'))])
def test_lossy_files_keep_nearly_their_values(tmp_path, name, write):
    write(tmp_path / name)
    assert image_size(tmp_path / name) == (H, W)
    assert np.abs(load(tmp_path / name).astype(int) - SMOOTH[..., None]).max() <= 4


def pyramid(path):
    with tifffile.TiffWriter(path) as file:
        file.write(GREY, subifds=1, **SHAPE)
        file.write(GREY[::2, ::2], subfiletype=1, **SHAPE)


def with_preview(path):
    with tifffile.TiffWriter(path) as file:
        file.write(GREY, **SHAPE)
        file.write(GREY[::4, ::4], subfiletype=1, **SHAPE)


@pytest.mark.parametrize('write', [pyramid, with_preview])
def test_smaller_copies_are_no_pages(tmp_path, write):
    write(tmp_path / 'a.tif')
    assert image_size(tmp_path / 'a.tif') == (H, W)
    np.testing.assert_array_equal(load(tmp_path / 'a.tif')[..., 0], GREY)


def preview_first(path):
    with tifffile.TiffWriter(path) as file:
        file.write(GREY[::4, ::4], subfiletype=1, **SHAPE)
        file.write(GREY, **SHAPE)


def pages(array, count=2, **kwargs):
    others = [Image.fromarray(255 - array)] * (count - 1)
    return lambda path: Image.fromarray(array).save(
        path, save_all=True, append_images=others, **kwargs)


def turned(array, **kwargs):
    exif = Image.Exif()
    exif[0x112] = 6
    return lambda path: Image.fromarray(array).save(path, exif=exif, **kwargs)


STACK = np.stack([GREY, 255 - GREY, GREY])
DEEP = GREY.astype(np.uint16) * 9
DEEP_RGB = RGB.astype(np.uint16) * 9
WRONG = {
    # more than 8 bits
    '16.png': (pillow(DEEP), r'more than 8 bits per channel \(16\)'),
    '16rgb.png': (lambda path: cv2.imwrite(str(path), DEEP_RGB), r'8 bits per channel \(16\)'),
    '16.tif': (tiff(DEEP, **SHAPE), r'more than 8 bits per channel \(16\)'),
    '16rgb.tif': (tiff(DEEP_RGB, photometric='rgb'), r'8 bits per channel \(16\)'),
    '16rgba.tif': (tiff(RGBA.astype(np.uint16), photometric='rgb'), r'8 bits per channel \(16\)'),
    '16planar.tif': (tiff(DEEP_RGB.transpose(2, 0, 1).copy(), photometric='rgb',
                          planarconfig='separate'), r'8 bits per channel \(16\)'),
    '16lzw.tif': (tiff(DEEP_RGB, photometric='rgb', compression='lzw'),
                  r'8 bits per channel \(16\)'),
    '16tiled.tif': (tiff(DEEP, tile=(16, 16), compression='zlib', **SHAPE), r'channel \(16\)'),
    '16big.tif': (tiff(DEEP, bigtiff=True, byteorder='>', **SHAPE), r'channel \(16\)'),
    '10.tif': (raw_tiff(LOW[10], 10), r'8 bits per channel \(10\)'),
    '12.tif': (raw_tiff(LOW[12], 12), r'8 bits per channel \(12\)'),
    '14.tif': (raw_tiff(LOW[14], 14), r'8 bits per channel \(14\)'),
    '32.tif': (tiff(GREY.astype(np.uint32), **SHAPE), r'8 bits per channel \(32\)'),
    'half.tif': (tiff(GREY.astype(np.float16), **SHAPE), r'8 bits per channel \(16\)'),
    'float.tif': (tiff(GREY.astype(np.float32), **SHAPE), r'8 bits per channel \(32\)'),
    'double.tif': (tiff(GREY.astype(np.float64), **SHAPE), r'8 bits per channel \(64\)'),
    'signed.tif': (tiff(GREY.view(np.int8), **SHAPE), 'signed values'),
    # more than one image
    'stack.tif': (tiff(STACK, **SHAPE), 'found 3 pages or frames'),
    'imagej.tif': (tiff(STACK, imagej=True), 'found 3 pages or frames'),
    'one_page.tif': (tiff(STACK, truncate=True, **SHAPE), 'found 3 pages or frames'),
    'ome.tif': (tiff(STACK, ome=True, metadata=dict(axes='TYX')), 'found 3 pages or frames'),
    'pages.tif': (pages(RGB, 4), 'found 4 pages or frames'),
    'animated.png': (pages(RGB), 'found 2 pages or frames'),
    'animated.gif': (pages(GREY, 3), 'found [23] pages or frames'),  # like frames are joined
    'animated.webp': (pages(RGB), 'found 2 pages or frames'),
    'two.jpg': (pages(RGB, format='MPO'), 'found 2 pages or frames'),
    'preview_first.tif': (preview_first, 'found a reduced image first'),
    # channels that are no colours
    'two_channels.tif': (tiff(STACK[:2], planarconfig='separate', **SHAPE), 'found 2 channels'),
    'three_channels.tif': (tiff(RGB, planarconfig='contig', **SHAPE), 'found 3 channels'),
    'lab.tif': (tiff(RGB, photometric='cielab'), 'found 3 channels'),
    'five_channels.tif': (tiff(np.zeros((H, W, 5), np.uint8), photometric='rgb'),
                          'found 5 channels'),
    # not the right way up
    'turned.jpg': (turned(GREY), r'orientation in its EXIF data \(6\)'),
    'turned.png': (turned(GREY), r'orientation in its EXIF data \(6\)'),
    'turned.webp': (turned(GREY), r'orientation in its EXIF data \(6\)'),
    'turned.tif': (raw_tiff(GREY, 8, [(274, 3, 3)]), r'orientation in its EXIF data \(3\)'),
    # no image
    'empty.png': (lambda path: path.write_bytes(b''), r'not a readable image, expected \.png data'),
    'text.tif': (lambda path: path.write_text('no image'), 'not a readable image'),
    'tiff.tif': (lambda path: path.write_bytes(b'II*\0\x08\0\0\0'), 'not a readable image'),
    'no_pixels.png': (png(np.zeros((0, 0), int), 8), 'found 0 x 0 pixels'),
}


@pytest.mark.parametrize('name', WRONG)
def test_what_would_be_loaded_as_something_else_is_refused(tmp_path, name):
    write, problem = WRONG[name]
    path = tmp_path / name
    write(path)
    for read in (image_size, load):
        with pytest.raises(UserError, match=problem) as caught:
            read(path)
        assert str(caught.value).startswith(f'{path}: ')
        assert '\n' not in str(caught.value)
    assert len(find_unreadable([path])) == 1


@pytest.mark.parametrize('share', [0.3, 0.6, 0.95, 0.999])
@pytest.mark.parametrize('name', [
    'grey.png', 'grey.bmp', 'grey.tif', 'tiled.tif', 'lzw.tif', 'strips.tif', 'bigtiff.tif',
    'smooth.jpg', 'progressive.jpg', 'preview.jpg', 'cmyk.jpg'])
def test_a_file_that_is_cut_is_refused_unread(tmp_path, name, share):
    """A download that broke off, a full disk."""
    preview = Image.Exif()
    preview[0x9286] = b'\xff\xd9'  # the end of a JPEG, as a preview in front of the image has it
    jpegs = {
        'smooth.jpg': pillow(GREY), 'progressive.jpg': pillow(GREY, progressive=True),
        'cmyk.jpg': pillow(GREY, 'CMYK'), 'preview.jpg': pillow(GREY, exif=preview)}
    path = tmp_path / name
    (jpegs[name] if name in jpegs else RIGHT[name][0])(path)
    assert image_size(path) == (H, W)
    whole = path.read_bytes()
    path.write_bytes(whole[:int(len(whole) * share)])
    with pytest.raises(UserError, match=r'the image is cut off|not a readable image'):
        image_size(path)


def test_damage_inside_is_found_by_decoding(tmp_path):
    """The header is whole, the pixels are not: named with the others, in one go."""
    good, flipped, short = (tmp_path / f'{name}.png' for name in ('good', 'flipped', 'short'))
    for path in (good, flipped, short):
        pillow(GREY)(path)
    data = bytearray(good.read_bytes())
    data[len(data) // 2] ^= 0xFF
    flipped.write_bytes(data)
    name, length = b'IDAT', 200  # half of its data, with a check sum that fits
    head, data, end = bytes(good.read_bytes()[:33]), good.read_bytes()[41:41 + length], (
        good.read_bytes()[-12:])
    short.write_bytes(head + struct.pack('>I', length) + name + data
                      + struct.pack('>I', zlib.crc32(name + data)) + end)
    assert {image_size(path) for path in (good, flipped, short)} == {(H, W)}
    problems = find_unreadable([flipped, good, short, tmp_path / 'gone.png'])
    assert list(problems) == [str(flipped), str(short), str(tmp_path / 'gone.png')]
    for path, problem in problems.items():
        assert problem.startswith(f'{path}: ')


def test_a_broken_link_is_called_one(tmp_path):
    (tmp_path / 'a.png').symlink_to('nowhere.png')
    with pytest.raises(MissingFileError, match=r'a\.png: a symbolic link to nowhere\.png, which'):
        image_size(tmp_path / 'a.png')
    (tmp_path / 'b.png').symlink_to('b.png')  # a loop
    with pytest.raises(MissingFileError, match=r'b\.png: a symbolic link to b\.png'):
        image_size(tmp_path / 'b.png')


@pytest.mark.parametrize('name', ['a.png', 'a.bmp', 'a.tif'])
def test_stitched_images_have_a_size(tmp_path, monkeypatch, name):
    """Pillow takes 179 million pixels for an attack; the header costs nothing."""
    pillow(GREY)(tmp_path / name)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    assert image_size(tmp_path / name) == (H, W)
    assert find_unreadable([tmp_path / name]) == {}
    assert Image.MAX_IMAGE_PIXELS == 100


def test_a_changed_file_is_read_anew(tmp_path):
    path = tmp_path / 'a.png'
    pillow(GREY)(path)
    assert read_header(path)[:2] == (H, W)
    pillow(GREY[:10])(path)
    assert read_header(path)[:2] == (10, W)

"""Files of every kind, written by other libraries and read back as frames."""
import cv2
import numpy as np
import pytest
import tifffile
from PIL import EpsImagePlugin, GifImagePlugin, Image, PngImagePlugin

from mmsart.datasets.image_file import read_header
from mmsart.formats.overlay import to_display
from mmsart.imaging import count_series, image_id, name_id, open_image, tiff
from mmsart.utils import MissingFileError, UserError
from tests.test_imaging.ome_sets import write_set

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (37, 52), dtype=np.uint8)
RGB = cv2.GaussianBlur(RNG.integers(0, 256, (37, 52, 3), dtype=np.uint8), (0, 0), 2)
DEEP = RNG.integers(100, 4096, (37, 52), dtype=np.uint16)
STACK = RNG.integers(0, 4096, (4, 37, 52), dtype=np.uint16)


def only(path, **options):
    with open_image(path, **options) as stack:
        assert len(stack) == 1
        assert (stack.axes, stack[0].t, stack[0].z) == ('', None, None)
        assert stack[0].image.shape[:2] == (stack.height, stack.width) == stack[0].raw.shape
        return stack[0]


@pytest.mark.parametrize('suffix', ['png', 'bmp', 'webp', 'tif', 'gif'])
def test_grey_pictures(tmp_path, suffix):
    path = tmp_path / f'a b ä.{suffix}'
    Image.fromarray(GREY).save(path, **({'lossless': True} if suffix == 'webp' else {}))
    frame = only(path)
    np.testing.assert_array_equal(frame.image, GREY)
    np.testing.assert_array_equal(frame.raw, GREY)
    with open_image(path) as stack:
        assert stack.file_axes.startswith('YX')  # WebP has colours alone


@pytest.mark.parametrize('suffix', ['png', 'bmp', 'webp', 'tif', 'jpg'])
def test_colours_are_those_that_the_network_was_trained_with(tmp_path, suffix):
    """The pipelines load by OpenCV; predictions must not hang on the way a file was opened."""
    path = tmp_path / f'a.{suffix}'
    Image.fromarray(RGB).save(path)
    frame = only(path)
    np.testing.assert_array_equal(frame.image, cv2.imread(str(path))[..., ::-1])
    np.testing.assert_array_equal(frame.raw, cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY))


def test_every_pixel_alike_is_told(tmp_path):
    for pixels, notes in ((STACK[:, :1, :1] * 0 + 7, ('every pixel has the grey value 7',)),
                          (np.append(np.full(99999, 7), 9).reshape(1, 100, 1000), ())):
        tifffile.imwrite(tmp_path / 'a.tif', np.broadcast_to(pixels[0], (100, 1000)).astype('u2'))
        with open_image(tmp_path / 'a.tif') as stack:
            assert (stack.warnings, stack[0].image.max()) == (notes, 0 if notes else 255)


def test_grey_in_three_channels_is_grey(tmp_path):
    Image.fromarray(GREY).convert('RGB').save(tmp_path / 'a.png')
    np.testing.assert_array_equal(only(tmp_path / 'a.png').image, GREY)


@pytest.mark.parametrize('mode', ['RGBA', 'LA', 'P', '1'])
def test_other_modes_of_pictures(tmp_path, mode):
    image = Image.fromarray(RGB if mode in ('RGBA', 'P') else GREY).convert(mode)
    if mode in ('RGBA', 'LA'):
        image.putalpha(Image.fromarray(GREY))
    image.save(tmp_path / 'a.png')
    with open_image(tmp_path / 'a.png') as stack:
        assert stack.warnings == (('transparency is ignored',) if mode in ('RGBA', 'LA') else ())
        expected = np.asarray(image.convert('RGB' if mode in ('RGBA', 'P') else 'L'))
        np.testing.assert_array_equal(stack[0].image, expected)


@pytest.mark.parametrize(('mode', 'options'), [
    ('P', dict(transparency=3)), ('P', dict(transparency=bytes([0, 128, 255]))),
    ('L', dict(transparency=int(GREY[0, 0]))), ('RGB', dict(transparency=(9, 9, 9)))])
@pytest.mark.filterwarnings('error')
def test_any_way_to_say_what_is_transparent_is_told(tmp_path, mode, options):
    colours = RGB.copy()
    colours[0, 0] = 9
    picture = Image.fromarray(colours if mode == 'RGB' else GREY)
    picture = picture.quantize(16) if mode == 'P' else picture
    picture.save(tmp_path / 'a.png', **options)
    with open_image(tmp_path / 'a.png') as stack:
        assert stack.warnings == ('transparency is ignored',)
        np.testing.assert_array_equal(
            stack[0].image, np.asarray(picture.convert('RGB' if mode == 'RGB' else 'L')))


@pytest.mark.parametrize('name', ['a.png', 'a.jpg', 'a.eps'])
@pytest.mark.parametrize('read', [open_image, read_header])
def test_a_picture_that_is_a_program_is_not_run(tmp_path, monkeypatch, name, read):
    """Pillow hands PostScript to Ghostscript."""
    monkeypatch.setattr(EpsImagePlugin, 'Ghostscript', None)  # else it would run
    Image.fromarray(GREY).save(tmp_path / name, 'eps')
    with pytest.raises(UserError, match='found EPS, a program that draws a picture, expected a p'):
        read(tmp_path / name)


def test_deep_pngs_keep_all_their_bits(tmp_path):
    deep_rgb = RNG.integers(0, 1 << 16, (37, 52, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / 'grey.png'), DEEP)
    cv2.imwrite(str(tmp_path / 'rgb.png'), deep_rgb[..., ::-1])
    frame = only(tmp_path / 'grey.png')
    np.testing.assert_array_equal(frame.raw, DEEP)
    low, high = np.percentile(DEEP, (0.1, 99.9))
    np.testing.assert_array_equal(
        frame.image, np.rint(np.clip((DEEP - low) / (high - low), 0, 1) * 255))
    with open_image(tmp_path / 'rgb.png', channel='green') as stack:
        np.testing.assert_array_equal(stack[0].raw, deep_rgb[..., 1])


def test_deep_pngs_are_decoded_once(tmp_path, monkeypatch):
    """Unless something in them says how to turn them."""
    cv2.imwrite(str(tmp_path / 'a.png'), DEEP)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, 'load', lambda _: pytest.fail('twice'))
    np.testing.assert_array_equal(only(tmp_path / 'a.png').raw, DEEP)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_orientation_is_applied(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    Image.fromarray(GREY).save(tmp_path / 'a.png', exif=exif)
    tifffile.imwrite(tmp_path / 'a.tif', GREY, extratags=[(274, 'H', 1, orientation, True)])
    shown = only(tmp_path / 'a.png').image
    assert shown.shape == (GREY.shape if orientation < 5 else GREY.shape[::-1])
    np.testing.assert_array_equal(only(tmp_path / 'a.tif').image, shown)
    Image.fromarray(GREY.astype(np.uint16)).save(tmp_path / 'deep.png', exif=exif)
    np.testing.assert_array_equal(only(tmp_path / 'deep.png').raw, shown)


@pytest.mark.parametrize('compression', [
    None, 'zlib', 'lzw', 'zstd', 'packbits', 'lzma', 'jpeg2000', 'jpegxl'])
@pytest.mark.parametrize('tile', [None, (16, 16)])
def test_tiffs_of_any_compression(tmp_path, compression, tile):
    options = {'compressionargs': {'reversible': True}} if compression == 'jpeg2000' else {}
    if compression == 'jpegxl':
        options = {'compressionargs': {'lossless': True}}
    tifffile.imwrite(tmp_path / 'a.tif', DEEP, compression=compression, tile=tile, **options)
    np.testing.assert_array_equal(only(tmp_path / 'a.tif').raw, DEEP)


@pytest.mark.parametrize('dtype', [
    bool, np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float16, np.float32,
    np.float64])
def test_tiffs_of_any_depth(tmp_path, dtype):
    values = (DEEP > 2000) if dtype is bool else (DEEP // 40).astype(dtype)
    tifffile.imwrite(tmp_path / 'a.tif', values)
    frame = only(tmp_path / 'a.tif')
    assert frame.image.dtype == np.uint8
    assert frame.image.any()
    np.testing.assert_array_equal(frame.raw, values * 255 if dtype is bool else values)


@pytest.mark.parametrize('planar', ['contig', 'separate'])
@pytest.mark.parametrize('samples', [2, 3, 4, 6])
def test_samples_that_are_no_colours_are_channels(tmp_path, planar, samples):
    channels = RNG.integers(0, 4096, (samples, 37, 52), dtype=np.uint16)
    tifffile.imwrite(
        tmp_path / 'a.tif', channels if planar == 'separate' else np.moveaxis(channels, 0, -1),
        photometric='minisblack', planarconfig=planar)
    with pytest.raises(UserError, match=f'found {samples} channels, expected --channel with one '
                                        f'of 0 to {samples - 1}'):
        open_image(tmp_path / 'a.tif')
    for number in range(samples):
        with open_image(tmp_path / 'a.tif', channel=str(number)) as stack:
            np.testing.assert_array_equal(stack[0].raw, channels[number])
            assert (stack.channel, stack.warnings) == (number, ())
    with pytest.raises(UserError, match=f"found '{samples}', expected one of 0 to {samples - 1}"):
        open_image(tmp_path / 'a.tif', channel=str(samples))


@pytest.mark.parametrize('axes', ['YXS', 'TYXS'])
def test_samples_are_colours_where_axes_say_so(tmp_path, axes):
    colours = np.stack([RGB, RGB[::-1]])[:axes.count('T') + 1]
    tifffile.imwrite(tmp_path / 'a.tif', colours, photometric='minisblack', planarconfig='contig')
    with open_image(tmp_path / 'a.tif', axes=axes) as stack:
        assert (len(stack), stack.channel) == (len(colours), None)
        for frame, expected in zip(stack, colours, strict=True):
            np.testing.assert_array_equal(frame.image, expected)
    with pytest.raises(UserError, match='found 3 channels'):
        open_image(tmp_path / 'a.tif', axes=axes.removesuffix('S'))


@pytest.mark.parametrize('alpha', ['assocalpha', 'unassalpha'])
def test_grey_with_transparency_is_one_channel(tmp_path, alpha):
    tifffile.imwrite(tmp_path / 'a.tif', np.dstack([DEEP, DEEP]), photometric='minisblack',
                     planarconfig='contig', extrasamples=[alpha])
    with open_image(tmp_path / 'a.tif') as stack:
        np.testing.assert_array_equal(stack[0].raw, DEEP)
        assert stack.warnings == ('transparency is ignored',)


def test_twelve_packed_bits(tmp_path):
    try:
        tifffile.imwrite(tmp_path / 'a.tif', DEEP, bitspersample=12, compression='none')
    except NotImplementedError:
        pytest.skip('the imagecodecs of Python 3.10 reads them and cannot write them')
    np.testing.assert_array_equal(only(tmp_path / 'a.tif').raw, DEEP)


def test_white_is_zero(tmp_path):
    tifffile.imwrite(tmp_path / 'a.tif', GREY, photometric='miniswhite')
    frame = only(tmp_path / 'a.tif')
    np.testing.assert_array_equal(frame.image, 255 - GREY)
    np.testing.assert_array_equal(frame.raw, GREY)


@pytest.mark.parametrize('kind', ['minisblack', 'miniswhite'])
@pytest.mark.parametrize(('array', 'options'), [
    (GREY, {}), (GREY, {'normalize': (10, 200)}), (GREY > 99, {}), (DEEP, {}),
    (DEEP.astype(np.float32), {}), (DEEP, {'normalize': (0, 5000)})])
def test_pictures_show_what_the_network_sees(tmp_path, array, options, kind):
    tifffile.imwrite(tmp_path / 'a.tif', array, photometric=kind)
    with open_image(tmp_path / 'a.tif', **options) as stack:
        shown = to_display(stack[0].raw, stack.display_range)
        as_it_is = array.dtype.itemsize == 1 and not options
        assert np.abs(shown.astype(int) - stack[0].image).max() <= (not as_it_is)  # of rounding
        assert (stack.display_range is None) == (as_it_is and kind == 'minisblack')


def test_palette(tmp_path):
    palette = RNG.integers(0, 1 << 16, (3, 256), dtype=np.uint16)
    tifffile.imwrite(tmp_path / 'a.tif', GREY, photometric='palette', colormap=palette)
    np.testing.assert_array_equal(
        only(tmp_path / 'a.tif').image, np.moveaxis(palette >> 8, 0, -1)[GREY])


def test_the_colours_that_imagej_shows_are_no_values(tmp_path):
    """The table of a file of 16 bits is none of the tag's, and was never applied."""
    with tifffile.TiffWriter(tmp_path / 'a.tif') as writer:
        writer.write(GREY, photometric='palette', metadata=None, description='ImageJ=1.54f\n',
                     colormap=RNG.integers(0, 1 << 16, (3, 256), dtype=np.uint16))
    frame = only(tmp_path / 'a.tif')
    np.testing.assert_array_equal(frame.raw, GREY)
    np.testing.assert_array_equal(frame.image, GREY)


@pytest.mark.parametrize('planar', ['contig', 'separate'])
@pytest.mark.parametrize('compression', [None, 'zlib'])
def test_colour_tiffs(tmp_path, planar, compression):
    array = RGB if planar == 'contig' else np.moveaxis(RGB, -1, 0)
    tifffile.imwrite(tmp_path / 'a.tif', array, photometric='rgb', planarconfig=planar,
                     compression=compression)
    np.testing.assert_array_equal(only(tmp_path / 'a.tif').image, RGB)
    np.testing.assert_array_equal(only(tmp_path / 'a.tif', channel=2).image, RGB[..., 2])


@pytest.mark.parametrize('options', [
    dict(), dict(compression='lzw'), dict(tile=(16, 16)), dict(planarconfig='separate'),
    dict(extrasamples=['unassalpha'])])
def test_cmyk_tiffs_are_read_as_cmyk_jpegs(tmp_path, options):
    inks = cv2.resize(np.random.default_rng(0).integers(0, 256, (4, 5, 4), np.uint8), (40, 32))
    Image.frombytes('CMYK', (40, 32), inks.tobytes()).save(tmp_path / 'a.jpg', quality=100)
    stored = np.dstack([inks, inks[..., 0]]) if 'extrasamples' in options else inks
    if 'planarconfig' in options:
        stored = np.ascontiguousarray(np.moveaxis(stored, -1, 0))
    tifffile.imwrite(tmp_path / 'a.tif', stored, photometric='separated', **options)
    found, jpeg = (only(tmp_path / name).image for name in ('a.tif', 'a.jpg'))
    assert np.abs(found.astype(int) - jpeg).max() <= 3
    light = 255 - inks.astype(float)  # what each ink lets through
    assert np.abs(found - light[..., :3] * light[..., 3:] / 255).max() <= 1


@pytest.mark.parametrize(('dtype', 'ink_set'), [(np.uint16, 1), (np.uint8, 2)])
def test_other_inks_are_refused(tmp_path, dtype, ink_set):
    tifffile.imwrite(tmp_path / 'a.tif', np.zeros((8, 9, 4), dtype), photometric='separated',
                     extratags=[(332, 'H', 1, ink_set, True)])
    with pytest.raises(UserError, match=f'found 4 inks of {np.dtype(dtype)}, expected CMYK of'):
        open_image(tmp_path / 'a.tif')


@pytest.mark.parametrize('options', [
    {'imagej': True, 'metadata': {'axes': 'TYX'}}, {'ome': True, 'metadata': {'axes': 'TYX'}},
    {'metadata': {'axes': 'TYX'}}, {'metadata': {'axes': 'TYX'}, 'compression': 'zlib'},
    {'metadata': {'axes': 'TYX'}, 'bigtiff': True, 'byteorder': '>'}])
def test_stacks_of_times(tmp_path, options):
    tifffile.imwrite(tmp_path / 'a.tif', STACK, photometric='minisblack', **options)
    with open_image(tmp_path / 'a.tif') as stack:
        assert (stack.axes, stack.sizes, len(stack)) == ('T', {'T': 4}, 4)
        for number, frame in enumerate(stack):
            assert (frame.t, frame.z) == (number, None)
            np.testing.assert_array_equal(frame.raw, STACK[number])
            np.testing.assert_array_equal(stack.read_raw(number), STACK[number])
            assert frame.raw.dtype == np.uint16
        low, high = np.percentile(STACK, (0.1, 99.9))  # of all frames, so they stay comparable
        assert stack.normalization.low == pytest.approx(low)
        assert stack.normalization.high == pytest.approx(high)


@pytest.mark.parametrize('axes', ['TZCYX', 'ZCTYX', 'CZTYX'])
def test_hyperstacks_by_their_axes_and_channel(tmp_path, axes):
    lengths = {'T': 2, 'Z': 3, 'C': 2, 'Y': 20, 'X': 30}
    array = RNG.integers(0, 256, [lengths[a] for a in axes], dtype=np.uint8)
    tifffile.imwrite(tmp_path / 'a.ome.tif', array, photometric='minisblack', metadata={
        'axes': axes, 'Channel': {'Name': ['DAPI', 'Phase']}})
    with pytest.raises(UserError, match=r'2 channels \(DAPI, Phase\), expected --channel'):
        open_image(tmp_path / 'a.ome.tif')
    with open_image(tmp_path / 'a.ome.tif', channel='phase') as stack:
        assert (stack.axes, len(stack), stack.channel) == ('TZ', 6, 'Phase')
        assert stack.file_axes == axes
        expected = np.moveaxis(array, [axes.index(a) for a in 'TZC'], [0, 1, 2])[:, :, 1]
        for frame in stack:
            np.testing.assert_array_equal(frame.raw, expected[frame.t, frame.z])
        assert [(frame.t, frame.z) for frame in stack] == [
            (t, z) for t in range(2) for z in range(3)]


def test_colour_stacks(tmp_path):
    array = RNG.integers(0, 256, (2, 20, 30, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / 'a.tif', array, photometric='rgb')
    with open_image(tmp_path / 'a.tif', axes='ZYX') as stack:
        assert (stack.axes, stack.file_axes) == ('Z', 'ZYXS')
        np.testing.assert_array_equal(stack[1].image, array[1])


def test_an_animation_is_a_stack_of_times(tmp_path):
    pictures = [Image.fromarray(np.full((8, 9), grey, np.uint8)) for grey in (10, 20, 30)]
    pictures[0].save(tmp_path / 'a.gif', save_all=True, append_images=pictures[1:])
    with open_image(tmp_path / 'a.gif') as stack:
        assert stack.axes == 'T'
        assert [int(frame.image.max()) for frame in stack] == [10, 20, 30]


@pytest.mark.parametrize('suffix', ['gif', 'webp', 'png'])
def test_frames_of_an_animation_in_any_order(tmp_path, suffix):
    """Each is stored as what changes in the one before."""
    moving = np.repeat(GREY[None], 6, axis=0)
    for number, frame in enumerate(moving):
        frame[5 * number:5 * number + 5, 10:20] = 255
    pictures = [Image.fromarray(frame) for frame in moving]
    pictures[0].save(tmp_path / f'a.{suffix}', save_all=True, append_images=pictures[1:],
                     **({'lossless': True} if suffix == 'webp' else {}))
    with open_image(tmp_path / f'a.{suffix}') as stack:
        assert len(stack) == 6
        for number in (0, 1, 2, 5, 3, 3, 0, 4):
            np.testing.assert_array_equal(stack[number].raw, moving[number])


def test_a_long_animation_is_read_in_one_go(tmp_path, monkeypatch):
    """Going to each frame from the first took the square of their number."""
    pictures = [Image.fromarray(np.full((8, 9), grey, np.uint8)) for grey in range(60)]
    pictures[0].save(tmp_path / 'a.gif', save_all=True, append_images=pictures[1:])
    steps, right = [], GifImagePlugin.GifImageFile._seek
    monkeypatch.setattr(GifImagePlugin.GifImageFile, '_seek', lambda image, frame, *others: (
        steps.append(frame), right(image, frame, *others))[1])
    with open_image(tmp_path / 'a.gif') as stack:
        assert [int(frame.raw[0, 0]) for frame in stack] == list(range(60))
    assert len(steps) < 5 * 60


def test_an_ambiguous_stack_stops_with_the_option_to_add(tmp_path):
    tifffile.imwrite(tmp_path / 'a.tif', STACK, photometric='minisblack')
    with pytest.raises(UserError, match=r'a.tif: found 4 x 37 x 52 .*--axes TYX .*--axes ZYX .*'
                       r'--axes CYX for channels and --channel N'):
        open_image(tmp_path / 'a.tif')
    with open_image(tmp_path / 'a.tif', axes='ZYX') as stack:
        assert [frame.z for frame in stack] == [0, 1, 2, 3]
    with open_image(tmp_path / 'a.tif', axes='CYX', channel=3) as stack:
        assert len(stack) == 1
        np.testing.assert_array_equal(stack[0].raw, STACK[3])


def test_axes_in_any_order(tmp_path):
    """As numpy's users write them: time last."""
    tifffile.imwrite(tmp_path / 'a.tif', np.ascontiguousarray(np.moveaxis(STACK, 0, -1)),
                     photometric='minisblack')
    with open_image(tmp_path / 'a.tif', axes='YXT') as stack:
        assert (len(stack), stack.height, stack.width) == (4, 37, 52)
        np.testing.assert_array_equal(stack[2].raw, STACK[2])


@pytest.mark.parametrize('axes', ['SYX', 'TSYX', 'STYX', 'YSX'])
def test_samples_anywhere_are_colours(tmp_path, axes):
    """A page for each of red, green and blue, as numpy's users of torch have them."""
    colours = np.stack([RGB, RGB[::-1]])  # TYXS
    array = np.einsum(f'TYXS->{axes}', colours if 'T' in axes else colours[:1])
    array = np.ascontiguousarray(array)
    tifffile.imwrite(tmp_path / 'a.tif', array, photometric='minisblack')
    for image in (array, tmp_path / 'a.tif'):
        with open_image(image, axes=axes) as stack:
            assert len(stack) == axes.count('T') + 1
            for frame, expected in zip(stack, colours, strict=False):
                np.testing.assert_array_equal(frame.image, expected)
        with open_image(image, axes=axes, channel='green') as stack:
            np.testing.assert_array_equal(stack[0].raw, RGB[..., 1])


@pytest.mark.parametrize(('axes', 'found'), [
    ('TYQ', r"--axes: found 'TYQ', expected letters"), ('TTX', r"--axes: found 'TTX'"),
    ('TCYX', r'--axes TCYX: found 3 axes of 4 x 37 x 52 \(QYX\)')])
def test_axes_that_do_not_fit(tmp_path, axes, found):
    tifffile.imwrite(tmp_path / 'a.tif', STACK, photometric='minisblack')
    with pytest.raises(UserError, match=found):
        open_image(tmp_path / 'a.tif', axes=axes)


@pytest.mark.parametrize('channel', [4, 'Phase', '-1'])
def test_a_channel_that_is_not_there(tmp_path, channel):
    tifffile.imwrite(tmp_path / 'a.tif', STACK, imagej=True, metadata={'axes': 'CYX'})
    with pytest.raises(UserError, match=r'--channel: found .* expected one of 0 to 3'):
        open_image(tmp_path / 'a.tif', channel=channel)


@pytest.mark.parametrize(('names', 'channel', 'number'), [
    (['1', '2', '3'], 1, 1), (['1', '2', '3'], '0', 0), (['1', '2', '3'], '#1', 1),
    (['1', '2', '3'], '3', 2), (['0', '1', '2'], '1', 1), (['Gray', 'Gray', 'PH'], 'ph', 2),
    (['Gray', 'Gray', 'PH'], 1, 1), (['Gray', 'Gray', 'PH'], '#0', 0), (['a', 'b', 'c'], 'B', 1)])
def test_channels_by_number_and_by_name(tmp_path, names, channel, number):
    tifffile.imwrite(tmp_path / 'a.ome.tif', STACK[:3], photometric='minisblack', metadata={
        'axes': 'CYX', 'Channel': {'Name': names}})
    with open_image(tmp_path / 'a.ome.tif', channel=channel) as stack:
        np.testing.assert_array_equal(stack[0].raw, STACK[number])


@pytest.mark.parametrize(('names', 'channel', 'expected'), [
    (['1', '2', '3'], '1', r"found '1', which stands for several of 1, 2, 3, expected #0 or #1"),
    (['Gray', 'Gray', 'PH'], 'gray', r"found 'gray', which stands .* expected #0 or #1, counted f"),
    (['Gray', 'Gray', 'PH'], None, r'\(Gray, Gray, PH\), expected --channel with one of 0 to 2$'),
    (['Gray', 'Gray', 'PH'], 'red', r"found 'red', expected one of 0 to 2"),
    (['a', 'b', 'c'], '#3', "found '#3', expected one of a, b, c")])
def test_a_channel_that_may_be_either_is_refused(tmp_path, names, channel, expected):
    tifffile.imwrite(tmp_path / 'a.ome.tif', STACK[:3], photometric='minisblack', metadata={
        'axes': 'CYX', 'Channel': {'Name': names}})
    with pytest.raises(UserError, match=expected):
        open_image(tmp_path / 'a.ome.tif', channel=channel)


def test_names_of_other_channels_than_there_are(tmp_path):
    """Times of one channel, whose name is none of the channels that they are said to be."""
    tifffile.imwrite(tmp_path / 'a.ome.tif', STACK, photometric='minisblack', metadata={
        'axes': 'TYX', 'Channel': {'Name': ['Phase']}})
    with open_image(tmp_path / 'a.ome.tif', axes='CYX', channel=2) as stack:
        assert stack.channel == 2
        np.testing.assert_array_equal(stack[0].raw, STACK[2])
    with pytest.raises(UserError, match=r'4 channels, expected --channel with one of 0 to 3$'):
        open_image(tmp_path / 'a.ome.tif', axes='CYX')


def test_several_images_in_one_file(tmp_path):
    with tifffile.TiffWriter(tmp_path / 'a.tif') as writer:
        writer.write(GREY)
        writer.write(DEEP[:20])
    assert count_series(tmp_path / 'a.tif') == 2
    with pytest.raises(UserError, match=r'found 2 images in one file, expected --series N'):
        open_image(tmp_path / 'a.tif')
    with pytest.raises(UserError, match=r'--series: found 2, expected 0 to 1'):
        open_image(tmp_path / 'a.tif', series=2)
    np.testing.assert_array_equal(only(tmp_path / 'a.tif', series=1).raw, DEEP[:20])


def test_a_preview_is_no_second_image(tmp_path):
    with tifffile.TiffWriter(tmp_path / 'a.tif') as writer:
        writer.write(GREY)
        writer.write(GREY[::4, ::4], subfiletype=1)
    np.testing.assert_array_equal(only(tmp_path / 'a.tif').raw, GREY)


def test_a_pyramid_is_read_at_full_size(tmp_path):
    with tifffile.TiffWriter(tmp_path / 'a.tif') as writer:
        writer.write(GREY, subifds=1)
        writer.write(GREY[::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(only(tmp_path / 'a.tif').raw, GREY)


def test_a_slide_is_one_image_with_its_pyramid_and_previews(tmp_path):
    """As Aperio's scanners write it: label and macro picture stand behind the levels."""
    slide = np.kron(RGB, np.ones((16, 16, 1), np.uint8))
    with tifffile.TiffWriter(tmp_path / 'a.svs') as writer:
        for pixels, options, text in (
                (slide, dict(tile=(256, 256)), 'v11.2.1\n832x592 [0,0 832x592] (256x256)'),
                (slide[::8, ::8], {}, 'v11.2.1\n832x592 -> 104x74 - '),
                (slide[::4, ::4], dict(tile=(256, 256)), 'v11.2.1\n832x592 -> 208x148'),
                (RGB, dict(subfiletype=1), '\nlabel 52x37'),
                (RGB[:30], dict(subfiletype=9), '\nmacro 52x30')):
            writer.write(pixels, photometric='rgb', compression='lzw', metadata=None,
                         description=f'Aperio Image Library {text}', **options)
    assert count_series(tmp_path / 'a.svs') == 1
    np.testing.assert_array_equal(only(tmp_path / 'a.svs').image, slide)


def test_a_slide_that_no_memory_holds_is_refused_before_it_is_read(tmp_path):
    tifffile.imwrite(tmp_path / 'a.svs', RGB, tile=(16, 16), compression='zlib')
    with tifffile.TiffFile(tmp_path / 'a.svs', mode='r+') as tif:
        for name in ('ImageWidth', 'ImageLength'):
            tif.pages.first.tags[name].overwrite(100_000)
    with pytest.raises(UserError, match=r'a.svs: found 100,000 x 100,000 pixels, expected at most '
                                        '4,294,967,296'):
        open_image(tmp_path / 'a.svs')


def size_of(path, **options):
    with open_image(path, **options) as stack:
        return stack.pixel_size, stack.warnings


def test_pixel_sizes(tmp_path):
    path = tmp_path / 'a.tif'
    tifffile.imwrite(path, GREY, resolution=(300, 300), resolutionunit='inch')
    assert size_of(path) == (None, ())  # dpi is no size
    tifffile.imwrite(path, GREY, imagej=True, resolution=(2, 2), metadata={'unit': 'um'})
    assert size_of(path) == ((0.5, 'ImageJ'), ())
    tifffile.imwrite(path, GREY, imagej=True, resolution=(2, 2), metadata={'unit': 'pixel'})
    assert size_of(path) == (None, ())
    tifffile.imwrite(path, GREY, ome=True, metadata={
        'PhysicalSizeX': 325, 'PhysicalSizeXUnit': 'nm', 'PhysicalSizeY': 325,
        'PhysicalSizeYUnit': 'nm'})
    assert size_of(path) == ((pytest.approx(0.325), 'OME'), ())
    assert size_of(path, pixel_size=0.325) == ((0.325, 'option'), ())
    size, notes = size_of(path, pixel_size=0.65)
    assert size == (0.65, 'option')
    assert notes == ('pixel size: 0.65 um (option) is used, OME says 0.325 um',)
    with pytest.raises(UserError, match='--pixel-size: found 0, expected '):
        size_of(path, pixel_size=0)


def test_pixel_sizes_in_tags(tmp_path):
    path = tmp_path / 'a.tif'
    tifffile.imwrite(path, GREY, metadata=None, extratags=[
        (51123, 's', 0, '{"PixelSizeUm": 0.65, "Channel": "Phase"}', True)])
    assert size_of(path) == ((0.65, 'Micro-Manager'), ())
    tifffile.imwrite(path, GREY, metadata=None, extratags=[
        (51123, 's', 0, '{"PixelSizeUm": 0.0, "Channel": "Phase"}', True)])
    assert size_of(path) == (None, ())
    head = np.zeros(1, tifffile.TIFF.CZ_LSMINFO)
    head['MagicNumber'], head['StructureSize'] = 67127628, head.itemsize
    head['DimensionX'], head['DimensionY'] = GREY.shape[::-1]
    head['DimensionZ'] = head['DimensionTime'] = head['DimensionChannels'] = 1
    head['VoxelSizeX'] = head['VoxelSizeY'] = 0.4e-6
    with tifffile.TiffWriter(path) as writer:
        writer.write(GREY, metadata=None, photometric='minisblack', extratags=[
            (34412, 'B', head.itemsize, head.tobytes(), True)])
        writer.write(GREY[::2, ::2], metadata=None, subfiletype=1)
    assert size_of(path) == ((pytest.approx(0.4), 'LSM'), ())


@pytest.mark.parametrize(('per_unit', 'unit', 'size'), [
    (20000, 'CENTIMETER', 0.5), (1000, 'CENTIMETER', 10), (28.3465, 'CENTIMETER', None),
    (118.11, 'CENTIMETER', None), (472.44, 'CENTIMETER', None), (1, 'CENTIMETER', None),
    (20000, 'INCH', None), (20000, 'NONE', None)])
def test_pixels_per_centimetre_unless_they_are_a_screens(tmp_path, per_unit, unit, size):
    tifffile.imwrite(tmp_path / 'a.tif', GREY, resolution=(per_unit, per_unit),
                     resolutionunit=unit, metadata=None)
    assert size_of(tmp_path / 'a.tif') == (
        (pytest.approx(size), 'TIFF') if size else None, ())


def test_pixels_that_are_not_square_keep_their_area(tmp_path):
    tifffile.imwrite(tmp_path / 'a.tif', GREY, ome=True, metadata={
        'PhysicalSizeX': 2.0, 'PhysicalSizeY': 0.5})
    size, notes = size_of(tmp_path / 'a.tif')
    assert size == (pytest.approx(1.0), 'OME')
    assert 'not square' in notes[0]


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'tif', 'webp', 'gif', 'bmp'])
def test_a_broken_file_is_named(tmp_path, suffix):
    path = tmp_path / f'a.{suffix}'
    if suffix == 'tif':
        tifffile.imwrite(path, DEEP, compression='zlib')
    else:
        Image.fromarray(RGB).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=rf'a.{suffix}: ') as caught:
        open_image(path)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('options', [{}, {'compression': 'zlib'}, {'tile': (16, 16)}])
def test_a_stack_that_is_cut_off_is_no_stack_with_black_frames(tmp_path, options):
    path = tmp_path / 'a.tif'
    tifffile.imwrite(path, STACK, photometric='minisblack', metadata={'axes': 'TYX'}, **options)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match=r'a.tif: '):
        open_image(path)


def test_times_of_several_files(tmp_path):
    for name, share in (files := {'a.ome.tif': 1, 'b.ome.tif': 2}).items():
        write_set(tmp_path / name, GREY // share, files, [list(files)])
    with open_image(tmp_path / 'b.ome.tif') as stack:
        assert (len(stack), stack.axes) == (2, 'T')
        assert all((stack.read_raw(time) == GREY // (1 + time)).all() for time in (0, 1))
        assert stack.warnings == ('an image of 2 files, a.ome.tif to b.ome.tif',)
    (tmp_path / 'a.ome.tif').unlink()
    with pytest.raises(UserError, match=r'b.ome.tif: found no a.ome.tif beside it, expected all f'):
        open_image(tmp_path / 'b.ome.tif')


def test_a_set_whose_other_files_are_larger(tmp_path):
    """Where a plane ends in its own file says nothing about the others."""
    files = {'a.ome.tif': 1, 'b.ome.tif': 2}
    write_set(tmp_path / 'a.ome.tif', np.zeros_like(GREY), files, [list(files)], compression='zlib')
    write_set(tmp_path / 'b.ome.tif', GREY, files, [list(files)], compression='zlib')
    with open_image(tmp_path / 'a.ome.tif') as stack:
        np.testing.assert_array_equal(stack.read_raw(1), GREY)


def test_an_image_whose_planes_lie_in_another_file(tmp_path):
    for name, share in (files := {'a.ome.tif': 1, 'b.ome.tif': 2}).items():
        write_set(tmp_path / name, GREY // share, files, [['a.ome.tif'], ['b.ome.tif']])
    for series in (0, 1):
        with open_image(tmp_path / 'a.ome.tif', series=series) as stack:
            assert (stack.read_raw(0) == GREY // (1 + series)).all()


@pytest.mark.parametrize('named', ['{folder}/secret.tif', '../secret.tif', 'link.tif', '/dev/zero'])
def test_files_of_other_folders_are_not_read(tmp_path, named):
    tifffile.imwrite(tmp_path / 'secret.tif', GREY)
    (tmp_path / 'set').mkdir()
    (tmp_path / 'set/link.tif').symlink_to(tmp_path / 'secret.tif')
    named = named.format(folder=tmp_path)
    write_set(tmp_path / 'set/a.tif', GREY, {'a.tif': 1, named: 2}, [['a.tif', named]])
    with pytest.raises(UserError, match='expected all files of an image in one folder'):
        open_image(tmp_path / 'set/a.tif')


def write_pages(path, **options):
    """Write every page's pixels before the page, as libtiff does."""
    pages = [Image.fromarray(page) for page in STACK]
    pages[0].save(path, save_all=True, append_images=pages[1:], **options)


CUTS = {
    'libtiff': lambda path: write_pages(path),
    'libtiff, LZW': lambda path: write_pages(path, compression='tiff_lzw'),
    **{f'{name} {options}': lambda path, options=options: tifffile.imwrite(
        path, STACK, photometric='minisblack', **options)
       for name, options in (
           ('pages', {}), ('pages', {'compression': 'zlib', 'bigtiff': True}),
           ('ImageJ', {'imagej': True, 'metadata': {'axes': 'TYX'}}),
           ('ImageJ', {'imagej': True, 'metadata': {'axes': 'TYX'}, 'byteorder': '>'}),
           ('ImageJ', {'imagej': True, 'metadata': {'axes': 'TYX'}, 'compression': 'zlib'}),
           ('ImageJ', {'imagej': True, 'metadata': {'axes': 'CYX'}}),
           # of one page for all images, as ImageJ has them from 4 GB on
           ('ImageJ', {'imagej': True, 'metadata': {'axes': 'TYX'}, 'truncate': True}),
           ('OME', {'ome': True, 'metadata': {'axes': 'TYX'}}),
           ('OME', {'ome': True, 'metadata': {'axes': 'TYX'}, 'compression': 'zlib'}))},
}


@pytest.mark.parametrize('kind', CUTS)
def test_no_frames_are_lost_where_a_stack_is_cut_off(tmp_path, kind):
    CUTS[kind](tmp_path / 'a.tif')
    assert count_series(tmp_path / 'a.tif') == 1
    content = (tmp_path / 'a.tif').read_bytes()
    for share in (0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95):
        (tmp_path / 'cut.tif').write_bytes(content[:int(len(content) * share)])
        with pytest.raises(UserError, match=r'cut.tif: .*expected a whole'):
            open_image(tmp_path / 'cut.tif', axes='TYX')


def test_a_tiff_of_nothing_but_a_header(tmp_path):
    (tmp_path / 'a.tif').write_bytes(b'II*\0rubbish')
    with pytest.raises(UserError, match=r'a.tif: found the file cut off before its first page, '
                                        'expected a whole file$'):
        open_image(tmp_path / 'a.tif')


def test_a_whole_stack_that_two_programs_have_described(tmp_path):
    """As early Micro-Manager did, in the words of OME and of ImageJ."""
    tifffile.imwrite(tmp_path / 'ome.tif', STACK, ome=True, metadata={'axes': 'TYX'})
    with tifffile.TiffFile(tmp_path / 'ome.tif') as tif:
        text = tif.ome_metadata
    imagej = 'ImageJ=1.46a\nimages=4\nframes=4\nhyperstack=true\n'
    tifffile.imwrite(tmp_path / 'a.tif', STACK, description=text, metadata=None,
                     photometric='minisblack', extratags=[(65_000, 's', 0, imagej, True)])
    with tifffile.TiffFile(tmp_path / 'a.tif') as tif:
        place = tif.pages.first.tags[65_000].offset
    with open(tmp_path / 'a.tif', 'r+b') as file:  # tifffile writes no tag twice
        file.seek(place)
        file.write((270).to_bytes(2, 'little'))
    with open_image(tmp_path / 'a.tif') as stack:
        assert (len(stack), stack.axes, stack.warnings) == (4, 'T', ())


def test_a_page_that_was_taken_out_of_a_stack_is_a_picture(tmp_path):
    """Which keeps the text of the stack."""
    text = 'ImageJ=1.53t\nimages=4\nframes=4\n'
    tifffile.imwrite(tmp_path / 'a.tif', STACK[2], description=text, metadata=None)
    image = Image.fromarray(STACK[2])
    image.save(tmp_path / 'b.tif', description=text)  # with its page behind the pixels
    for name in ('a.tif', 'b.tif'):
        with open_image(tmp_path / name) as stack:
            np.testing.assert_array_equal(stack.read_raw(0), STACK[2])
            assert stack.warnings == ('1 of the 4 images that ImageJ says',)


def test_planes_of_other_folders_are_refused_whatever_names_them(tmp_path, monkeypatch):
    """Micro-Manager names files in its own ways, known once tifffile has followed them."""
    monkeypatch.setattr(tiff, '_named_files', lambda _: [])
    (tmp_path / 'set').mkdir()
    files = {'a.tif': 1, '../b.tif': 2}
    write_set(tmp_path / 'set/a.tif', GREY, files, [list(files)])
    tifffile.imwrite(tmp_path / 'b.tif', GREY)
    with pytest.raises(UserError, match='expected all files of an image in one folder'):
        open_image(tmp_path / 'set/a.tif')


@pytest.mark.parametrize('content', [b'', b'II*\0', b'\x89PNG\r\n', b'a,b\n1,2\n', b'ZISRAWFILE',
                                     b'\x70\0\0\0', b'\xda\xce\xbe\x0a'])
def test_no_image(tmp_path, content):
    (tmp_path / 'a.png').write_bytes(content)
    with pytest.raises(UserError, match=r'a.png: '):
        open_image(tmp_path / 'a.png')


def test_a_tiff_file_without_pages(tmp_path):
    (tmp_path / 'a.tif').write_bytes(b'II*\0' + bytes(4))
    with pytest.raises(UserError, match=r'a.tif: found a TIFF file without an image, expected one'):
        open_image(tmp_path / 'a.tif')


@pytest.mark.parametrize('name', ['notes.txt', 'a.png', 'a.czi'])
def test_text_is_no_image_of_a_known_format(tmp_path, name):
    (tmp_path / name).write_text('Notes on plate 1')
    with pytest.raises(UserError) as caught:
        open_image(tmp_path / name)
    assert str(caught.value) == (
        f'{tmp_path / name}: found no image of a known format, expected a whole file of PNG, JPEG, '
        'WebP, BMP, GIF, TIFF, CZI, ND2 or LIF')


@pytest.mark.parametrize('shape', [(0, 10), (10, 0)])
def test_a_picture_without_pixels(tmp_path, shape):
    tifffile.imwrite(tmp_path / 'a.tif', np.zeros(shape, np.uint8))
    with pytest.raises(UserError, match=f'found {shape[0]} x {shape[1]} pixels, expected at least'):
        open_image(tmp_path / 'a.tif')


def test_a_gif_that_is_cut_off_behind_its_first_frame(tmp_path):
    """Its frames are counted by reading them, wherever that may end."""
    pictures = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    pictures[0].save(tmp_path / 'whole.gif', save_all=True, append_images=pictures[1:])
    content = (tmp_path / 'whole.gif').read_bytes()
    refused = 0
    for end in range(len(content) // 2, len(content) - 1, 7):
        (tmp_path / 'a.gif').write_bytes(content[:end])
        try:
            with open_image(tmp_path / 'a.gif') as stack:
                list(stack)
        except UserError as error:
            refused += 'a.gif: cannot be read, expected a whole image file' in str(error)
    assert refused > 100


def test_complex_values_are_no_grey_values(tmp_path):
    tifffile.imwrite(tmp_path / 'a.tif', GREY.astype(np.complex64))
    with pytest.raises(UserError, match=r'a.tif: found values of type complex64, expected whole'):
        open_image(tmp_path / 'a.tif')


def test_no_file(tmp_path):
    with pytest.raises(MissingFileError, match='no such file, expected an image'):
        open_image(tmp_path / 'a.png')


def test_arrays():
    np.testing.assert_array_equal(open_image(GREY)[0].image, GREY)
    np.testing.assert_array_equal(open_image(RGB)[0].image, RGB)
    assert open_image(STACK, axes='TYX').axes == 'T'
    # A folder may hold stacks and single images.
    assert len(open_image(STACK[0], axes='TYX')) == 1
    np.testing.assert_array_equal(open_image(STACK[0], axes='TZCYX')[0].raw, STACK[0])
    assert [frame.image.any() for frame in open_image(np.stack([GREY > 9] * 2), axes='ZYX')]
    with pytest.raises(UserError, match='--axes TYX'):
        open_image(STACK)
    with pytest.raises(UserError, match=r'array: found float64 of shape \(3,\)'):
        open_image(np.zeros(3))


def test_arrays_with_a_last_axis_of_channels():
    np.testing.assert_array_equal(open_image(GREY[..., None])[0].image, GREY)
    np.testing.assert_array_equal(open_image(GREY[..., None], axes='YXC')[0].image, GREY)
    assert len(open_image(STACK[..., None], axes='TYXS')) == len(STACK)
    two = np.dstack([GREY, GREY.T.reshape(GREY.shape)])
    with pytest.raises(UserError, match=r'found shape \(37, 52, 2\), expected --axes YXC and -'):
        open_image(two)
    np.testing.assert_array_equal(open_image(two, axes='YXC', channel=1)[0].raw, two[..., 1])


def test_a_stack_is_read_frame_by_frame(tmp_path):
    """A frame costs a frame, however many there are."""
    import tracemalloc
    for options in ({}, {'compression': 'zlib'}):
        array = np.zeros((64, 256, 256), np.uint8)
        tifffile.imwrite(tmp_path / 'a.tif', array, photometric='minisblack',
                         metadata={'axes': 'TYX'}, **options)
        tracemalloc.start()
        with open_image(tmp_path / 'a.tif') as stack:
            for frame in stack:
                assert frame.image.shape == (256, 256)
        assert tracemalloc.get_traced_memory()[1] < array.nbytes / 4
        tracemalloc.stop()


def test_ids_of_files():
    assert [image_id(name) for name in ('x/a.ome.tif', 'b.png', 'c.d.tif')] == ['a', 'b', 'c.d']


def test_a_given_name_loses_an_ending_of_images_alone():
    names = ('dose 0.5 uM', 'Dr. Smith', '24.5h', 'plate1.A1', 'x/a.OME.TIF', 'b.1.png', 'array')
    assert [name_id(name) for name in names] == [
        'dose 0.5 uM', 'Dr. Smith', '24.5h', 'plate1.A1', 'a', 'b.1', 'array']

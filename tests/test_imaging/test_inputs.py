"""Which images files, folders and patterns stand for, and what their results are called."""
import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tifffile

from mmsart.imaging import open_image
from mmsart.imaging.inputs import find_inputs, with_series
from mmsart.utils import MissingFileError, UserError
from tests.test_imaging.ome_sets import write_set


@pytest.fixture
def folder(tmp_path):
    for name in ('b.png', 'a.ome.tif', 'deep/c.jpg', 'deep/er/b.png', '.hidden.png', 'notes.txt',
                 'out/b_outlines.png'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def found(*inputs, **options):
    return {each.name: each.stem for each in find_inputs(inputs, **options)}


def test_folders(folder):
    assert found(folder) == {'a.ome.tif': 'a', 'b.png': 'b'}
    assert found(folder, recursive=True, exclude=folder / 'out') == {
        'a.ome.tif': 'a', 'b.png': 'b', 'deep/c.jpg': 'deep/c', 'deep/er/b.png': 'deep/er/b'}


def test_microscopes_and_slide_scanners_files(tmp_path):
    """Which are TIFF inside, whatever they end in."""
    names = ['a.stk', 'b.svs', 'c.scn', 'd.qptiff', 'e.btf', 'f.ome.tf8', 'g.LSM', 'h.ndpi']
    (tmp_path / names[-1]).touch()  # nothing writes its pages of eight bytes
    for name in names[:-1]:
        tifffile.imwrite(tmp_path / name, np.zeros((8, 9), np.uint8))
        with open_image(tmp_path / name) as stack:
            assert (stack.height, stack.width) == (8, 9)
    assert found(tmp_path) == {name: name[0] for name in names}


def test_files_and_patterns(folder):
    assert found(folder / 'deep' / 'c.jpg') == {'c.jpg': 'c'}
    assert found(folder / '*.png', folder / 'b.png') == {'b.png': 'b'}
    assert found(folder / 'deep' / '**' / '*.png') == {'er/b.png': 'er/b'}
    assert [each.path.is_file() for each in find_inputs([str(folder / '*')])] == [True, True]
    assert found(folder / 'deep' / '**') == {'c.jpg': 'c', 'er/b.png': 'er/b'}
    assert found(folder / '.*.png') == {'.hidden.png': '.hidden'}
    assert found(folder / '**.png') == {'b.png': 'b'}


@pytest.mark.parametrize('pattern', ['*/*.png', 'o*/*.png', '**/*', 'deep/../*/*.png'])
def test_patterns_pass_over_the_results(folder, pattern):
    (folder / 'open.png').touch()
    (folder / 'other' / 'out').mkdir(parents=True)
    (folder / 'other' / 'out' / 'x.png').touch()
    (folder / 'other' / 'y.png').touch()
    (folder / 'link').symlink_to(folder / 'out', target_is_directory=True)
    names = found(folder / pattern, exclude=folder / 'deep' / '..' / 'out')
    assert 'other/y.png' in names
    assert not [name for name in names if 'b_outlines' in name]
    assert ('other/out/x.png' in names) == (pattern == '**/*')  # other folders may have its name


@pytest.mark.parametrize('given', ['', '*.png', '*/*.jpg', '**'])
def test_results_beside_the_images_are_refused(folder, given, monkeypatch):
    monkeypatch.chdir(folder / 'deep')
    for exclude in ('.', folder / 'deep'):
        with pytest.raises(UserError, match=f'^{exclude}: found the folder of the images to look '
                                            'at, expected another one for the results$'):
            find_inputs([folder / 'deep' / given], exclude=exclude)


def test_images_in_a_folder_of_the_results(folder):
    """Theirs do not lie beside them."""
    assert found(folder / 'deep', recursive=True, exclude=folder) == {
        'c.jpg': 'c', 'er/b.png': 'er/b'}
    assert found(folder / 'deep' / '*.jpg', folder / 'b.png', exclude=folder) == {
        'c.jpg': 'c', 'b.png': 'b'}


def test_links_that_lead_back_are_no_more_images(folder):
    """Two of them in a folder would stand for 2 ** 40 paths."""
    for name in ('loop', 'again', 'deep/up', 'deep/er/up'):
        (folder / name).symlink_to(folder, target_is_directory=True)
    (folder / 'beside').symlink_to(folder / 'deep', target_is_directory=True)
    deep = ('c.jpg', 'er/b.png')
    assert set(found(folder / '**' / '*', recursive=True)) == {
        'a.ome.tif', 'b.png', *(f'deep/{name}' for name in deep), 'out/b_outlines.png'}
    assert set(found(folder, recursive=True, exclude=folder / 'out')) == {
        'a.ome.tif', 'b.png', *(f'beside/{name}' for name in deep)}  # that one leads on


def test_links_into_the_results(folder):
    (folder / 'out' / 'plate').mkdir()
    (folder / 'out' / 'plate' / 'x_outlines.png').touch()
    (folder / 'plate').symlink_to(folder / 'out' / 'plate', target_is_directory=True)
    assert any('x_outlines' in name for name in found(folder, recursive=True))
    assert not [name for name in found(folder, recursive=True, exclude=folder / 'out')
                if 'outlines' in name]


def test_a_folder_that_is_a_link_is_looked_into(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp('links') / 'link'
    elsewhere.symlink_to(folder, target_is_directory=True)
    assert found(elsewhere) == {'a.ome.tif': 'a', 'b.png': 'b'}
    assert found(elsewhere / '*.png') == {'b.png': 'b'}


def test_a_name_with_brackets_is_a_file_first(tmp_path):
    (tmp_path / 'a[1].png').touch()
    assert found(tmp_path / 'a[1].png') == {'a[1].png': 'a[1]'}
    for folder in ('p[1]', 'p1', 'p2', 'q1'):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f'{folder[:2]}.tif').touch()
    assert found(tmp_path / 'p[1]' / '*.tif') == {'p[.tif': 'p['}
    assert found(tmp_path / 'p[1]' / 'p[[].tif') == {'p[.tif': 'p['}
    assert found(tmp_path / '[pq][12]' / '*.tif') == {
        'p1/p1.tif': 'p1/p1', 'p2/p2.tif': 'p2/p2', 'q1/q1.tif': 'q1/q1'}
    with pytest.raises(MissingFileError, match=r'p\[1\]/none.tif: found no image'):
        find_inputs([tmp_path / 'p[1]' / 'none.tif'])


def test_names_that_differ_in_their_ending_keep_it(tmp_path):
    for name in ('a.png', 'a.tif', 'b.png'):
        (tmp_path / name).touch()
    assert found(tmp_path) == {'a.png': 'a_png', 'a.tif': 'a_tif', 'b.png': 'b'}
    (tmp_path / 'a.ome.tif').touch()
    assert found(tmp_path) == {
        'a.png': 'a_png', 'a.tif': 'a_tif', 'a.ome.tif': 'a_ome_tif', 'b.png': 'b'}


def test_no_two_stems_are_the_same(tmp_path):
    """Not even those of names that look like the stems of others."""
    for name in ('a.png', 'a.tif', 'a_png.jpg', 'a_png.bmp', 'a_png_jpg.png', 'a.ome.tif',
                 'a_ome.tif', 'a_ome.png', 'é' * 120 + '.png', 'é' * 120 + '.tif'):
        (tmp_path / name).touch()
    stems = found(tmp_path)
    assert len(set(stems.values())) == len(stems) == 10
    assert found(tmp_path) == stems
    assert stems['a.tif'] == 'a_tif'


@pytest.mark.parametrize('names', [
    ('A.png', 'a.tif'), ('a.PNG', 'a.png'), ('\u00e9.png', 'e\u0301.png')])
def test_stems_differ_on_disks_that_take_names_for_one(tmp_path, names):
    """Such as those of macOS and Windows, where a folder of results may lie."""
    for name in names:
        (tmp_path / name).touch()
    if len(list(tmp_path.iterdir())) < len(names):
        pytest.skip('this disk is one of them')
    stems = found(tmp_path).values()
    assert len({unicodedata.normalize('NFD', stem).lower() for stem in stems}) == len(names)


def test_a_picture_named_like_a_frame_of_a_stack(tmp_path):
    for name in ('a.tif', 'a_t00.png', 'a_z120.png', 'a_t00_z01.png', 'b_t00.png', 'a_t0.png'):
        (tmp_path / name).touch()
    assert found(tmp_path) == {
        'a.tif': 'a', 'a_t00.png': 'a_t00_png', 'a_z120.png': 'a_z120_png', 'b_t00.png': 'b_t00',
        'a_t00_z01.png': 'a_t00_z01_png', 'a_t0.png': 'a_t0'}
    (tmp_path / 'a.tif').unlink()
    assert found(tmp_path)['a_t00_z01.png'] == 'a_t00_z01_png'  # a_t00.png may have depths
    assert found(tmp_path)['a_t00.png'] == 'a_t00'


def test_a_file_named_in_two_ways_is_one(folder):
    (folder / 'link').symlink_to(folder / 'deep', target_is_directory=True)
    ways = [folder / 'deep' / 'c.jpg', folder / 'deep' / 'er' / '..' / 'c.jpg',
            os.path.relpath(folder / 'deep' / 'c.jpg'), folder / 'link' / 'c.jpg',
            folder / 'deep' / '*.jpg', folder / 'deep']
    image, = find_inputs(ways)
    assert (image.path, image.name) == (ways[0], 'c.jpg')
    assert set(found(ways[0], folder, recursive=True, exclude=folder / 'out')) == {
        'c.jpg', 'a.ome.tif', 'b.png', 'deep/er/b.png'}


def test_links_that_go_round_are_images_that_cannot_be_read(folder):
    """One by one, so that the others of a batch are looked at."""
    (folder / 'round.png').symlink_to('round.png')
    (folder / 'ring').symlink_to('ring')
    assert set(found(folder, recursive=True, exclude=folder / 'out')) == {
        'a.ome.tif', 'b.png', 'round.png', 'deep/c.jpg', 'deep/er/b.png'}
    assert 'round.png' in found(folder / '*.png', exclude=folder / 'ring')


def test_two_files_of_one_name(folder):
    with pytest.raises(UserError, match=r'er/b.png: found .*b.png too, expected names that differ'):
        find_inputs([folder / 'b.png', folder / 'deep' / 'er' / 'b.png'])


@pytest.mark.parametrize('given', ['none', 'none/*.png', 'empty'])
def test_nothing(tmp_path, given):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(MissingFileError, match='expected'):
        find_inputs([tmp_path / given])


def test_images_of_one_file(tmp_path):
    with tifffile.TiffWriter(tmp_path / 'a.tif') as writer:
        for size in range(10, 21):
            writer.write(np.zeros((size, 9), np.uint8))
    (image,) = find_inputs([tmp_path / 'a.tif'])
    entries = with_series([image])
    assert [entry.series for entry in entries] == list(range(11))
    assert (entries[3].name, entries[3].stem) == ('a.tif#3', 'a_s03')
    broken = find_inputs([_broken(tmp_path)])
    assert with_series(broken) == broken
    (tmp_path / 'a_s03.png').touch()
    stems = [entry.stem for entry in with_series(find_inputs([tmp_path / 'a*']))]
    assert len(set(stems)) == len(stems) == 12
    assert stems[2] == 'a_s02'


def _broken(folder: Path) -> Path:
    (folder / 'broken.tif').write_bytes(b'II*\0')
    return folder / 'broken.tif'


def test_names_that_are_no_utf8_are_written_in_latin1(tmp_path):
    """As disks of older systems have them: 10 µm.png."""
    path = os.path.join(os.fsencode(tmp_path), b'10 \xb5m.png')
    with open(path, 'wb'):
        pass
    image, = find_inputs([tmp_path])
    assert (image.name, image.stem) == ('10 µm.png', '10 µm')
    assert image.path.is_file()


def test_long_names_leave_room_for_endings(tmp_path):
    names = ['é' * 120 + f'{number}.png' for number in (1, 2)]
    for name in names:
        (tmp_path / name).touch()
    one, other = find_inputs([tmp_path])
    assert [one.name, other.name] == names
    assert one.stem != other.stem
    assert one.stem.startswith('é' * 50)
    assert len(os.fsencode(one.stem)) < 150


def test_an_image_of_several_files_is_looked_at_once(tmp_path):
    """Each of them opens as the whole image."""
    files = {f'm_t{time}.ome.tif': time for time in range(3)}
    for name in files:
        write_set(tmp_path / name, np.zeros((8, 9), np.uint8), files, [list(files)])
    assert found(tmp_path) == {'m_t0.ome.tif': 'm_t0'}
    assert found(tmp_path / 'm_t2.ome.tif', tmp_path / 'm_t1.ome.tif') == {'m_t2.ome.tif': 'm_t2'}


def test_a_file_that_was_copied_names_the_first(tmp_path):
    """As processed pictures do that keep the metadata of the original."""
    write_set(tmp_path / 'a.ome.tif', np.zeros((8, 9), np.uint8), {'a.ome.tif': 1}, [['a.ome.tif']])
    shutil.copy(tmp_path / 'a.ome.tif', tmp_path / 'a smooth.ome.tif')
    assert set(found(tmp_path)) == {'a.ome.tif', 'a smooth.ome.tif'}


@pytest.mark.parametrize('root', [None, 9], ids=['none', 'another'])
def test_a_file_that_names_itself_is_an_image(tmp_path, root):
    """By the UUID of a plane; that of the whole file may be left out."""
    for name in ('a.ome.tif', 'b.ome.tif'):
        write_set(tmp_path / name, np.zeros((8, 9), np.uint8), {name: 1}, [[name]], root=root)
    assert set(found(tmp_path)) == {'a.ome.tif', 'b.ome.tif'}


def test_files_of_a_set_that_were_resized_are_images_by_themselves(tmp_path):
    """Their metadata no longer fit, so that each opens as what it holds."""
    files = {f'm_t{time}.ome.tif': time for time in range(3)}
    for name in files:
        write_set(tmp_path / name, np.zeros((8, 9), np.uint8), files, [list(files)],
                  size=(16, 18))
        with open_image(tmp_path / name) as stack:
            assert (len(stack), stack.height) == (1, 8)
    assert set(found(tmp_path)) == set(files)


def test_a_file_that_takes_its_planes_from_another_stands_for_none(tmp_path):
    """As a copy does whose metadata do not say that it is the first."""
    picture = np.zeros((8, 9), np.uint8)
    write_set(tmp_path / 'b.ome.tif', picture, {'b.ome.tif': 1}, [['b.ome.tif']], root=None)
    shutil.copy(tmp_path / 'b.ome.tif', tmp_path / 'a.ome.tif')
    assert set(found(tmp_path)) == {'a.ome.tif', 'b.ome.tif'}
    with open_image(tmp_path / 'a.ome.tif') as stack:
        assert 'the image of b.ome.tif' in ''.join(stack.warnings)

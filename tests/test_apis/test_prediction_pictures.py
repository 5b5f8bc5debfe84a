"""Pictures of predictions: which images, and what stops them."""
import cv2
import numpy as np
import pytest

from mmsart.apis.prediction_pictures import write_pictures
from mmsart.datasets.classes import CLASSES
from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.predictions import Predictions
from mmsart.utils import IncompleteError, MissingFileError, UserError

SIZE = (20, 30)


def predictions(name, hits, truth=True):
    """Make an image of four true cells of which `hits` are found."""
    texts = [f'{1 + 6 * i} 4 {31 + 6 * i} 4' for i in range(4)]
    masks = PatchMasks.from_annotations(texts, *SIZE)
    found = Detections(
        np.full(hits, .9), np.full(hits, 2), masks[:hits], np.zeros((hits, 4)), name)
    return Predictions(found, masks if truth else None, 'cort')


@pytest.fixture
def folder(tmp_path):
    for name in ('a.png', 'b.tif', 'c.png', 'd.png', 'e.png'):
        cv2.imwrite(str(tmp_path / name), np.full(SIZE, 90, np.uint8))
    return tmp_path


def test_best_middle_and_worst_are_drawn(folder, tmp_path):
    images = [predictions(name, hits) for name, hits in zip('abcde', (1, 4, 0, 3, 2), strict=True)]
    paths = write_pictures(images, CLASSES, folder, tmp_path / 'out', {})
    assert [path.name for path in paths] == [
        '000_1.000_b.png', '001_0.500_e.png', '002_0.000_c.png']
    assert cv2.imread(str(paths[0])).shape == (SIZE[0] + 24, 2 * SIZE[1] + 4, 3)
    assert len(write_pictures(images, CLASSES, folder, tmp_path / 'all', {}, every=True)) == 5


def test_images_without_truth_are_drawn_alone(folder, tmp_path):
    image = predictions('a', 2, truth=False)
    paths = write_pictures([image], CLASSES, folder, tmp_path / 'out', {}, scale=2)
    assert [path.name for path in paths] == ['a.png']
    assert cv2.imread(str(paths[0])).shape == (2 * SIZE[0], 2 * SIZE[1], 3)


def test_the_choice_is_among_images_with_truth(folder, tmp_path):
    images = [predictions('a', 4, truth=False), predictions('b', 4), predictions('c', 0)]
    paths = write_pictures(images, CLASSES, folder, tmp_path / 'out', {})
    assert [path.name for path in paths] == ['000_1.000_b.png', '001_0.000_c.png']
    assert len(write_pictures(images, CLASSES, folder, tmp_path / 'all', {}, every=True)) == 3


def test_images_are_found_in_the_folders_in_front_of_their_names(tmp_path):
    files = ('p1/frame.png', 'p2/frame.png', 'p2/other.png')
    for grey, file in enumerate(files):
        (tmp_path / 'images' / file).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / 'images' / file), np.full(SIZE, 80 * grey, np.uint8))
    images = [predictions(name, 0, truth=False) for name in ('p1_frame', 'p2_frame', 'other')]
    paths = write_pictures(images, CLASSES, tmp_path / 'images', tmp_path / 'out', {}, every=True)
    assert {path.name: cv2.imread(str(path))[0, 0, 0] for path in paths} == {
        'p1_frame.png': 0, 'p2_frame.png': 80, 'other.png': 160}
    with pytest.raises(UserError, match=r'p2: found .*p2, which the same command reads'):
        write_pictures(images, CLASSES, tmp_path / 'images', tmp_path / 'images/p2', {})
    with pytest.raises(UserError, match=r'images: no image, .* in the folders below: p1, p2$'):
        write_pictures([predictions('frame', 0)], CLASSES, tmp_path / 'images', 'out', {})
    cv2.imwrite(str(tmp_path / 'images/other.png'), np.full(SIZE, 240, np.uint8))
    path, = write_pictures(images[2:], CLASSES, tmp_path / 'images', tmp_path / 'out', {})
    assert cv2.imread(str(path))[0, 0, 0] == 240  # of the folder itself, whatever is below


@pytest.mark.parametrize(('images', 'scale', 'error', 'message'), [
    ([], 1, UserError, 'no predictions'),
    ([predictions('a', 1)], 0, UserError, 'scale: found 0'),
    ([predictions('zz', 1)], 1, MissingFileError, 'image zz is missing'),
])
def test_nothing_is_written_on_bad_input(folder, tmp_path, images, scale, error, message):
    with pytest.raises(error, match=message):
        write_pictures(images, CLASSES, folder, tmp_path / 'out', {}, scale=scale)
    assert not (tmp_path / 'out').exists()


def test_pictures_do_not_take_the_place_of_images(folder, tmp_path):
    image = predictions('a', 1, truth=False)
    with pytest.raises(UserError, match='which the same command reads or writes, expected another'):
        write_pictures([image], CLASSES, folder, tmp_path / 'out' / '..', {})
    assert cv2.imread(str(tmp_path / 'a.png')).shape == (*SIZE, 3)


def test_damaged_images_are_passed_over_and_named(folder, tmp_path):
    for name in ('c.png', 'e.png'):
        (folder / name).write_bytes(b'no image')
    images = [predictions(name, hits) for name, hits in zip('abcde', (1, 4, 0, 3, 2), strict=True)]
    with pytest.raises(IncompleteError) as caught:
        write_pictures(images, CLASSES, folder, tmp_path / 'out', {}, every=True)
    assert [problem.split(':')[0] for problem in caught.value.problems] == [
        str(folder / name) for name in ('e.png', 'c.png')]
    assert caught.value.done == tuple(map(str, sorted((tmp_path / 'out').iterdir())))
    assert len(caught.value.done) == 3


def test_images_of_other_folders_are_named_and_the_others_drawn(folder, tmp_path):
    images = [predictions(name, hits) for name, hits in (('1-17', 4), ('a', 2), ('1-42', 1))]
    with pytest.raises(IncompleteError) as caught:
        write_pictures(images, CLASSES, folder, tmp_path / 'out', {}, every=True)
    assert caught.value.problems == tuple(
        f'{folder}: image {name} is missing, expected all that were predicted'
        for name in ('1-17', '1-42'))
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['001_0.500_a.png']
    assert caught.value.done == (str(tmp_path / 'out' / '001_0.500_a.png'),)
    with pytest.raises(UserError) as caught:
        write_pictures(images[::2], CLASSES, folder, tmp_path / 'none', {}, every=True)
    assert len(caught.value.problems) == 2
    assert not isinstance(caught.value, IncompleteError)
    assert not (tmp_path / 'none').exists()

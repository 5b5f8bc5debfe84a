import copy
import multiprocessing
import pickle

import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile

from mmsart.datasets.transforms.cached_loading import LoadCachedImage, SharedImageCache
from mmsart.utils import MissingFileError, UserError


def write_image(path, grey=True, seed=0):
    shape = (9, 13) if grey else (9, 13, 3)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8))
    return str(path)


@pytest.mark.parametrize('grey', [True, False])
@pytest.mark.parametrize('color_type', ['color', 'grayscale', 'unchanged'])
def test_same_as_from_file_and_really_from_memory(tmp_path, grey, color_type):
    results = dict(img_path=write_image(tmp_path / 'a.png', grey), sample_idx=3)
    expected = LoadImageFromFile(color_type=color_type)(dict(results))
    load = LoadCachedImage(max_mb=1, color_type=color_type)
    load(dict(results))
    (tmp_path / 'a.png').unlink()
    found = load(dict(results))
    np.testing.assert_array_equal(found['img'], expected['img'])
    assert found['img'].dtype == np.uint8
    assert found['img_shape'] == expected['img_shape']
    assert found['ori_shape'] == expected['ori_shape']


def test_grey_images_take_one_channel(tmp_path):
    load = LoadCachedImage(max_mb=1)
    path = write_image(tmp_path / 'a.png')
    load(dict(img_path=path, sample_idx=0))
    assert load.cache.get(0, path).shape == (9, 13)


def test_changing_an_image_leaves_the_kept_one_alone(tmp_path):
    load = LoadCachedImage(max_mb=1)
    results = dict(img_path=write_image(tmp_path / 'a.png', grey=False), sample_idx=0)
    first = load(dict(results))['img']
    kept = first.copy()
    load(dict(results))['img'][:] = 0
    np.testing.assert_array_equal(load(dict(results))['img'], kept)


def test_a_place_answers_for_its_own_name_only(tmp_path):
    load = LoadCachedImage(max_mb=1)
    a, b = write_image(tmp_path / 'a.png'), write_image(tmp_path / 'b.png', seed=1)
    load(dict(img_path=a, sample_idx=0))
    for _ in range(2):
        found = load(dict(img_path=b, sample_idx=0))['img']
        np.testing.assert_array_equal(found, cv2.imread(b))


def test_limits(tmp_path):
    cache = SharedImageCache(max_mb=1, max_images=3)
    half = np.full((1 << 19,), 7, np.uint8).reshape(512, 1024)
    for place in range(4):
        cache.put(place, str(place), half)
    assert [cache.get(place, str(place)) is not None for place in range(4)] == [
        True, True, False, False]
    assert cache.get(-1, 'a') is None
    load = LoadCachedImage(max_mb=1)
    load(dict(img_path=write_image(tmp_path / 'a.png')))  # no sample_idx: nothing is kept


def test_forked_processes_share_and_copies_do_not():
    cache = SharedImageCache(max_mb=1, max_images=4)
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    child = multiprocessing.get_context('fork').Process(target=cache.put, args=(1, 'a', image))
    child.start()
    child.join()
    np.testing.assert_array_equal(cache.get(1, 'a'), image)
    for other in (copy.deepcopy(cache), pickle.loads(pickle.dumps(cache))):
        assert other.get(1, 'a') is None
        assert (other.max_mb, other.max_images) == (1, 4)


def _put_range(cache, begin):
    for place in range(begin, 200):
        cache.put(place, str(place), np.full((8, 8), place % 256, np.uint8))


def test_writing_at_the_same_time_mixes_nothing_up():
    cache = SharedImageCache(max_mb=1, max_images=200)
    context = multiprocessing.get_context('fork')
    children = [context.Process(target=_put_range, args=(cache, begin)) for begin in (0, 50, 0)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    for place in range(200):
        assert (cache.get(place, str(place)) == place % 256).all()


def test_another_size_than_the_datasets_is_refused(tmp_path):
    path = write_image(tmp_path / 'a.png')
    load = LoadCachedImage(max_mb=1)
    assert load(dict(img_path=path, height=9, width=13))['ori_shape'] == (9, 13)
    with pytest.raises(UserError, match=r'a\.png: found 9 x 13 pixels, expected 13 x 9'):
        load(dict(img_path=path, height=13, width=9))


def test_a_file_that_is_gone_keeps_its_name(tmp_path):
    with pytest.raises(MissingFileError, match=r'gone\.png: no such file, expected an image'):
        LoadCachedImage(max_mb=1)(dict(img_path=str(tmp_path / 'gone.png')))

"""Scaling of grey values: exact percentiles, plane by plane."""
import tracemalloc
import weakref

import numpy as np
import pytest

from mmsart.imaging.normalization import PERCENTILES, Normalization, find_normalization
from mmsart.utils import UserError


def find(array, normalize=None):
    return find_normalization('x.tif', array.dtype, list(array), array.size, normalize)


@pytest.mark.parametrize('dtype', [np.uint16, np.int16, np.int8, np.int32, np.float32, np.float64])
def test_percentiles_are_numpys_over_the_whole_series(dtype):
    rng = np.random.default_rng(0)
    values = rng.normal(30, 25, (3, 300, 41)).astype(dtype)  # 300 rows: more than one chunk
    found = find(values)
    np.testing.assert_allclose(
        (found.low, found.high), np.percentile(values, PERCENTILES), rtol=1e-6)


@pytest.mark.parametrize('dtype', [np.uint16, np.int16, np.int32, np.float32])
def test_scaling_is_the_formula(dtype):
    rng = np.random.default_rng(0)
    values = rng.normal(300, 400, (300, 41)).astype(dtype)
    scaled = Normalization(100, 612, 'option')(values)
    expected = np.rint(np.clip((values.astype(float) - 100) / 512, 0, 1) * 255)
    assert scaled.dtype == np.uint8
    np.testing.assert_array_equal(scaled, expected)


def test_eight_bits_are_taken_as_they_are():
    values = np.arange(100, 200, dtype=np.uint8).reshape(1, 10, 10)
    assert find(values)(values) is values


def test_limits_given_apply_to_eight_bits_too():
    values = np.array([[[50, 100, 150, 200]]], np.uint8)
    assert find(values, (100, 150))(values).tolist() == [[[0, 0, 255, 255]]]


def test_none_takes_deep_files_that_fit():
    values = np.array([[[0, 17, 255]]], np.uint16)
    assert find(values, 'none')(values).tolist() == [[[0, 17, 255]]]
    with pytest.raises(UserError, match=r'x.tif: found grey values of 0 to 256, .*--normalize LO'):
        find(np.array([[[0, 256]]], np.uint16), 'none')


def test_limits_out_of_order_are_refused():
    with pytest.raises(UserError, match='--normalize: found 5 5'):
        find(np.zeros((1, 2, 2), np.uint8), (5, 5))


def test_values_that_are_not_finite_are_black_or_white_and_do_not_count():
    values = np.full((1, 40, 40), np.nan, np.float32)
    values[0, :20] = np.linspace(0, 1, 40)
    values[0, 0, 0] = np.inf
    found = find(values)
    assert 0 <= found.low < found.high <= 1
    scaled = found(values[0])
    assert (scaled[20:] == 0).all()
    assert scaled[0, 0] == 255
    with pytest.raises(UserError, match='no grey value that is finite'):
        find(np.full((1, 4, 4), np.nan, np.float32))


def test_a_constant_image_is_black():
    found = find(np.full((1, 4, 4), 700, np.uint16))
    assert (found.low, found.high) == (700, 700)
    assert not found(np.full((4, 4), 700, np.uint16)).any()


def test_large_float_images_are_sampled_evenly(monkeypatch):
    monkeypatch.setattr('mmsart.imaging.normalization.MAX_VALUES', 1000)
    values = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(1, 64, 64)
    found = find(values)
    assert found.low == pytest.approx(0.001, abs=0.005)
    assert found.high == pytest.approx(0.999, abs=0.005)


@pytest.mark.parametrize('dtype', [np.uint16, np.int16, np.int32, np.float32])
def test_a_few_bright_pixels_in_the_dark_are_seen(dtype):
    values = np.full((2, 64, 64), 7, dtype)
    values[1, 10, 10:13] = 500, 900, 3000
    found = find(values)
    assert (found.low, found.high, found.source) == (7, 3000, 'minimum and maximum')
    assert found(values[1])[10, 9:14].tolist() == [0, 42, 76, 255, 0]


def test_planes_of_32_bits_are_not_copied_for_their_extremes(monkeypatch):
    monkeypatch.setattr('mmsart.imaging.normalization.MAX_VALUES', 1000)
    plane = np.full((4096, 1024), 7, np.float32)
    plane[5, 5:9], plane[4000, 7] = (np.nan, -np.inf, np.inf, 3000), 5
    tracemalloc.start()
    try:
        found = find(plane[None])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found.low, found.high, found.source) == (5, 3000, 'minimum and maximum')
    assert peak < plane.nbytes / 4


def test_planes_of_32_bits_are_let_go():
    """What is kept of each for the percentiles is no view that holds it."""
    planes, peaks = [], []

    def read():
        for number in range(8):
            plane = np.full((512, 512), number, np.float32)
            planes.append(weakref.ref(plane))
            peaks.append(sum(each() is not None for each in planes))
            yield plane

    find_normalization('x.tif', np.dtype(np.float32), read(), 1 << 26)
    assert max(peaks) <= 3

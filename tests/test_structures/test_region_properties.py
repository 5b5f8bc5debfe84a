import numpy as np
import pytest
from skimage.measure import regionprops

from mmsart.structures.mask import region_properties as module
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.region_properties import region_properties
from tests.test_postprocessing.scenes import random_bitmaps

SCALARS = ('area', 'area_convex', 'perimeter', 'equivalent_diameter_area', 'feret_diameter_max',
           'axis_major_length', 'axis_minor_length', 'eccentricity', 'solidity', 'intensity_mean',
           'intensity_std', 'intensity_min', 'intensity_max')


def plain_properties(bitmap, image):
    """Measure a full-size bitmap by scikit-image."""
    [region] = regionprops(bitmap.astype(np.uint8), image)
    values = {name: getattr(region, name) for name in SCALARS}
    values |= {f'centroid-{i}': value for i, value in enumerate(region.centroid)}
    values |= {f'bbox-{i}': value for i, value in enumerate(region.bbox)}
    return values, region


def scene(seed, dtype=np.uint16):
    rng = np.random.default_rng(seed)
    bitmaps = random_bitmaps(rng, 40, 56, 30)
    return PatchMasks.from_bitmaps(bitmaps), bitmaps, rng.integers(0, 255, (40, 56)).astype(dtype)


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float64])
def test_same_as_scikit_image(seed, dtype):
    masks, bitmaps, image = scene(seed, dtype)
    found = region_properties(masks, image)
    for index, bitmap in enumerate(bitmaps):
        if not bitmap.any():
            continue
        expected, region = plain_properties(bitmap, image)
        for name, value in expected.items():
            assert found[name][index] == pytest.approx(value, rel=1e-9, abs=1e-6), name
        # Modulo half a turn, and only where there is a longer axis.
        if region.eccentricity > 1e-3:
            turn = (found['orientation'][index] - region.orientation) % np.pi
            assert min(turn, np.pi - turn) == pytest.approx(0, abs=1e-6)
        if region.perimeter:
            circularity = 4 * np.pi * region.area / region.perimeter ** 2
            assert found['circularity'][index] == pytest.approx(circularity)


def test_boxes_need_not_be_tight():
    masks, bitmaps, image = scene(1)
    kept = bitmaps.any(axis=(1, 2))
    loose = PatchMasks(bitmaps[kept].ravel(), np.tile([0, 0, 56, 40], (kept.sum(), 1)), 40, 56)
    tight = region_properties(masks[kept], image)
    for name, column in region_properties(loose, image).items():
        np.testing.assert_array_equal(column, tight[name], err_msg=name)


def test_chunks_make_no_difference(monkeypatch):
    masks, _, image = scene(2)
    whole = region_properties(masks, image)
    monkeypatch.setattr(module, 'CHUNK_PIXELS', 50)
    for name, column in region_properties(masks, image).items():
        np.testing.assert_array_equal(column, whole[name], err_msg=name)


def test_a_disc():
    ys, xs = np.mgrid[:81, :81]
    disc = (ys - 40) ** 2 + (xs - 40) ** 2 <= 30 ** 2
    found = region_properties(PatchMasks.from_bitmaps(disc[None]), np.full((81, 81), 7))
    assert found['centroid-0'][0] == found['centroid-1'][0] == 40
    assert found['circularity'][0] == pytest.approx(0.9, abs=0.02)
    assert found['axis_major_length'][0] == pytest.approx(60, abs=0.5)
    assert found['feret_diameter_max'][0] == pytest.approx(61, abs=0.5)
    assert found['solidity'][0] == pytest.approx(0.98, abs=0.01)
    assert found['intensity_mean'][0] == 7


@pytest.mark.parametrize('centre', [20, 20.5])
def test_the_orientation_of_what_is_round(centre):
    ys, xs = np.mgrid[:41, :41] - centre
    rounds = [ys ** 2 + xs ** 2 <= radius ** 2 for radius in (1, 3, 8)] + [
        np.maximum(abs(ys), abs(xs)) <= 5]
    found = region_properties(PatchMasks.from_bitmaps(np.stack(rounds)), np.zeros((41, 41)))
    expected = [regionprops(each.astype(np.uint8))[0].orientation for each in rounds]
    assert found['orientation'].tolist() == expected == [-np.pi / 4] * 4


def test_an_empty_mask_and_no_mask():
    image = np.zeros((4, 5), np.uint8)
    masks = PatchMasks.from_bitmaps(np.stack([np.zeros((4, 5)), np.eye(4, 5)]))
    found = region_properties(masks, image)
    assert found['area'].tolist() == [0, 4]
    assert np.isnan(found['perimeter'][0])
    assert np.isnan(found['intensity_min'][0])
    none = region_properties(masks[:0], image)
    assert set(none) == set(found)
    assert all(column.shape == (0,) for column in none.values())

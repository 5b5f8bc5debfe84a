"""COCO's segmentations: read to pycocotools' pixels, or refused before it sees them."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from mmsart.structures.mask.coco_counts import encode_counts
from mmsart.structures.mask.coco_segmentations import (
    FARTHEST,
    BadSegmentationError,
    bound_segmentations,
    decode_segmentations,
    find_bad_segmentations,
)
from mmsart.structures.mask.cropped_masks import CroppedMasks
from tests.plain_masks import decode_coco_rle, decode_polygons

H, W = 12, 17
TRIANGLE = [2.0, 1.0, 14.5, 3.0, 6.0, 11.0]


def rle(counts, size=(H, W)):
    return dict(size=list(size), counts=counts)


def bitmap(segmentation, height=H, width=W):
    return CroppedMasks.from_coco([segmentation], height, width).to_ndarray()[0].astype(bool)


def random_bitmap(seed, height=H, width=W):
    return np.random.default_rng(seed).random((height, width)) < 0.3


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9))
def test_codes_in_every_spelling(seed, height, width):
    mask = random_bitmap(seed, height, width)
    code = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    text = code['counts'].decode()
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat, prepend=False, append=not flat[-1]))
    counts = np.diff(edges, prepend=0).tolist()
    for spelling in (code, rle(text, (height, width)), rle(counts, (height, width)),
                     rle(list(map(float, counts)), (float(height), float(width))),
                     rle(np.array(counts), np.array([height, width]))):
        np.testing.assert_array_equal(bitmap(spelling, height, width), mask)
    np.testing.assert_array_equal(decode_coco_rle(rle(text, (height, width))), mask)


def test_runs_of_no_pixel_are_read():
    """Some programs write them; the mask is that of the counts that are left."""
    counts = [5, 3, 0, 4, 2, 0, H * W - 14]
    np.testing.assert_array_equal(bitmap(rle(counts)), decode_coco_rle(rle(counts)))


@given(st.integers(0, 2**32 - 1), st.integers(3, 12), st.sampled_from([1, 4, 1000]))
def test_polygons_have_the_pixels_of_pycocotools_and_of_geometry(seed, corners, reach):
    """Inside the image, over its border, and far beyond it."""
    rng = np.random.default_rng(seed)
    polygons = [(rng.random((corners, 2)) * reach * [W, H] - (reach - 1) / 2 * np.array([W, H]))
                .round(2).ravel().tolist() for _ in range(rng.integers(1, 3))]
    found = bitmap(polygons)
    stock = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, H, W)))
    np.testing.assert_array_equal(found, stock.astype(bool))
    inside, certain = decode_polygons(polygons, H, W)
    np.testing.assert_array_equal(found[certain], inside[certain])


BAD = [
    # polygons
    ([], 'found no polygon'),
    (None, 'found None, expected polygons or an RLE'),
    (True, 'found True'),
    ('12 3', "found '12 3'"),
    (TRIANGLE, 'found 2.0 in the place of a polygon'),  # not nested
    ([[TRIANGLE]], r'polygon 0: found \[2\.0, .*, expected numbers'),  # nested once too often
    ([[[2, 1], [14, 3], [6, 11]]], r'polygon 0: found \[2, 1\], expected numbers'),  # pairs
    ([TRIANGLE, [1, 1, 5]], 'polygon 1: found 3 numbers'),
    ([[*TRIANGLE, 1]], 'polygon 0: found 7 numbers'),
    ([[2, 1, 4, 3]], 'polygon 0: found 4 numbers'),  # pycocotools takes these for a box
    ([TRIANGLE, []], 'polygon 1: found 0 numbers'),
    ([TRIANGLE, 'abcdef'], "polygon 1: found 'abcdef'"),
    ([['2', '1', '14', '3', '6', '11']], "polygon 0: found '2', expected numbers"),
    ([[True, 1, 14, 3, 6, 11]], 'polygon 0: found True, expected numbers'),
    ([[None, 1, 14, 3, 6, 11]], 'polygon 0: found None, expected numbers'),
    ([[float('nan'), 1, 14, 3, 6, 11]], 'polygon 0: found nan, expected finite'),
    ([[2, float('-inf'), 14, 3, 6, 11]], 'polygon 0: found -inf, expected finite'),
    ([[10**400, 1, 14, 3, 6, 11]], 'polygon 0: found inf, expected finite'),
    ([[0, 0, 1e9, 0, 1e9, 1e9]], r'polygon 0: found the coordinate 1e\+09'),
    ([[0, 0, 5, 0, 5, -1e300]], r'polygon 0: found the coordinate -1e\+300'),
    ([[0, -FARTHEST, W, FARTHEST] * 20], 'polygon 0: found an outline of'),
    # RLE
    ({}, 'found no size'),
    (dict(size=[H, W]), 'found no counts'),
    (rle([H * W], (W, H)), rf'found an RLE of size \[{W}, {H}\], expected \[{H}, {W}\]'),
    (rle([H * W], (H, W, 1)), 'found an RLE of size'),
    (rle([H * W], [str(H), str(W)]), f"found size '{H}', expected numbers"),
    (dict(size=H * W, counts=[H * W]), f'found size {H * W}, expected a list'),
    (rle([1, 3, 2, 4]), f'found counts of 10 pixels, expected {H * W}'),
    (rle([1, 3, 2, 4, H * W]), f'found counts of {H * W + 10} pixels'),
    (rle([]), "found counts ''"),
    (rle(''), "found counts ''"),
    (rle(b''), "found counts ''"),
    (rle(None), 'found counts None, expected a list of numbers'),
    (rle(7), 'found counts 7'),
    (rle([-3, H * W + 3]), 'found the count -3'),
    (rle([1.5, H * W - 1.5]), 'found the count 1.5'),
    (rle([float('nan'), H * W]), 'found counts nan, expected finite'),
    (rle([2**32, 2, H * W - 2]), r'found the count 4\.29497e\+09'),  # 0 in 32 bits
    (rle(['1', H * W - 1]), "found counts '1', expected numbers"),
    (rle([True, H * W - 1]), 'found counts True, expected numbers'),
    (rle('1 3 2 4'), "found counts '1 3 2 4', expected COCO's compressed code"),
    (rle('ä'), 'expected COCO'),
    (rle('P'), 'expected COCO'),  # a number that goes on, and an end
    (rle('ooooooooo0'), 'expected COCO'),  # a number of 50 bits
]


@pytest.mark.parametrize(('segmentation', 'problem'), BAD)
def test_what_is_no_mask_is_named(segmentation, problem):
    with pytest.raises(BadSegmentationError, match=f'segmentation 1: .*{problem}') as caught:
        decode_segmentations([[TRIANGLE], segmentation, None], H, W)
    assert '\n' not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_code_of_a_negative_count_is_named():
    counts = [4, 6, -1, H * W - 9]
    code = encode_counts(np.array(counts), np.array([0, 4]))[0]
    with pytest.raises(BadSegmentationError, match='found the count -1, expected 0 or more'):
        decode_segmentations([rle(code)], H, W)


def test_all_of_them_are_named():
    segmentations = [[TRIANGLE], [TRIANGLE[:4]], rle([H * W]), rle([1]), None]
    assert [each.index for each in find_bad_segmentations(segmentations, H, W)] == [1, 3, 4]


def test_images_of_more_pixels_than_32_bits_count_are_refused():
    with pytest.raises(BadSegmentationError, match='expected fewer than 2147483648 pixels'):
        decode_segmentations([[TRIANGLE]], 1 << 16, 1 << 15)


def test_bounds_need_no_decoding():
    mask = random_bitmap(3)
    rows, columns = np.nonzero(mask)
    code = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    segmentations = [[TRIANGLE, [1, 1, 3, 1, 3, 4]], code, rle([H * W]), [[-5, -5, 30, 2, 5, 30]]]
    np.testing.assert_array_equal(bound_segmentations(segmentations, H, W), [
        [1, 1, 14.5, 11],
        [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1],
        [0, 0, 0, 0], [0, 0, W, H]])

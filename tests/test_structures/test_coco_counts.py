import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from mmsart.structures.mask.coco_counts import decode_counts, encode_counts

# Small and large counts, so that differences of either sign take one to five characters: with six
# and more pycocotools writes beyond its own buffer.
count = st.integers(0, 40) | st.integers(0, 2**24 - 1)
masks_of_counts = st.lists(st.lists(count, min_size=1, max_size=12), max_size=6)


@settings(max_examples=200, deadline=None)
@given(masks_of_counts)
def test_codes_are_those_of_pycocotools_and_decode(masks):
    splits = np.cumsum([0, *map(len, masks)])
    flat = np.array([value for mask in masks for value in mask], np.int64)
    codes = encode_counts(flat, splits)
    expected = [coco_mask.frPyObjects({'size': [1, 1], 'counts': mask}, 1, 1) for mask in masks]
    assert codes == [code['counts'] for code in expected]
    counts, back = decode_counts(codes)
    np.testing.assert_array_equal(counts, flat)
    np.testing.assert_array_equal(back, splits)


def test_seven_characters_decode():
    counts = np.array([2**31 - 1, 0, 0, 2**31 - 1, 2**31 - 1, 0, 5])
    decoded, _ = decode_counts(encode_counts(counts, np.array([0, len(counts)])))
    np.testing.assert_array_equal(decoded, counts)


def test_masks_without_any_count():
    counts, splits = decode_counts([b'', b'1', b''])
    assert counts.tolist() == [1]
    assert splits.tolist() == [0, 0, 1, 1]

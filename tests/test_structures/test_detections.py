"""What stands behind what when detections are put together."""
import numpy as np
import pytest

from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks


def detections(number, begin=0, ids=True):
    """Cells of one pixel each along the first row, from column `begin`."""
    bitmaps = np.zeros((number, 4, 9), np.uint8)
    places = begin + np.arange(number)
    bitmaps[np.arange(number), 0, places] = 1
    masks = PatchMasks.from_bitmaps(bitmaps)
    return Detections(0.9 - places / 10, places % 3, masks, masks.boxes, 'part',
                      np.full((number, 2, 2), 0.5), places if ids else None)


@pytest.mark.parametrize('ids', [True, False])
def test_parts_together_are_the_whole(ids):
    parts = [detections(2, 0, ids), detections(0, 2, ids), detections(3, 2, ids)]
    whole, expected = Detections.cat(parts, 'a'), detections(5, 0, ids)
    assert whole.img_id == 'a'
    assert whole.mask_probs is None
    for name in ('scores', 'labels', 'bboxes', 'ids'):
        np.testing.assert_array_equal(getattr(whole, name), getattr(expected, name))
    np.testing.assert_array_equal(whole.masks.to_ndarray(), expected.masks.to_ndarray())


def test_ids_of_some_are_ids_of_none():
    assert Detections.cat([detections(2), detections(1, ids=False)]).ids is None

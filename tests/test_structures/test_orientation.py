"""Mirrored and turned images: what is found there, back in the image as it was."""
import itertools

import numpy as np
import pytest

from mmsart.structures.detections import Detections
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.orientation import FLIPS, Orientation

ALL = [Orientation(flip, turns) for flip, turns in itertools.product(FLIPS, range(4))]


def find(bitmaps):
    """Take bitmaps for detections, with a soft mask that shows which way is up."""
    masks = PatchMasks.from_bitmaps(bitmaps)
    crops = [bitmap[y1:y2, x1:x2] for bitmap, (x1, y1, x2, y2)
             in zip(bitmaps, masks.boxes, strict=True)]
    probs = np.stack([np.pad(crop, ((0, 20 - crop.shape[0]), (0, 20 - crop.shape[1])))
                      for crop in crops])
    return Detections(np.ones(len(bitmaps)), np.zeros(len(bitmaps)), masks, masks.boxes, 'a', probs)


@pytest.mark.parametrize('orientation', ALL, ids=lambda each: f'{each.flip}{each.turns}')
def test_back_to_the_pixel(orientation):
    bitmaps = (np.random.default_rng(0).random((5, 17, 12)) > 0.9).astype(np.uint8)
    laid = np.rot90(np.flip(bitmaps, orientation.axes), orientation.turns, (1, 2)).copy()
    found = orientation.undo(find(laid))
    np.testing.assert_array_equal(found.masks.to_ndarray(), bitmaps)
    np.testing.assert_array_equal(found.bboxes, PatchMasks.from_bitmaps(bitmaps).boxes)
    assert orientation.size((17, 12)) == laid.shape[1:]


@pytest.mark.parametrize('orientation', ALL, ids=lambda each: f'{each.flip}{each.turns}')
def test_soft_masks_turn_with_their_boxes(orientation):
    soft = np.arange(9, dtype=np.float32).reshape(1, 3, 3) / 9
    laid = np.rot90(np.flip(soft, orientation.axes), orientation.turns, (1, 2))
    masks = PatchMasks.from_bitmaps(np.ones((1, 6, 6), np.uint8))
    found = orientation.undo(Detections([1], [0], masks, masks.boxes, 'a', laid))
    np.testing.assert_array_equal(found.mask_probs, soft)


def test_eight_ways_and_nothing_to_undo_without_cells():
    picture = np.arange(6).reshape(2, 3)
    laid = {np.rot90(np.flip(picture, each.axes), each.turns).tobytes() + bytes([each.turns % 2])
            for each in ALL}
    assert len(laid) == 8
    empty = Orientation('horizontal', 1).undo(find(np.zeros((1, 4, 6), np.uint8))[np.zeros(0, int)])
    assert (len(empty), empty.masks.height, empty.masks.width) == (0, 6, 4)

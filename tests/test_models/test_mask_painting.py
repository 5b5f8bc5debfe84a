"""Masks that are painted a part at a time."""
import numpy as np
import pytest
import torch

from mmsart.models import mask_painting


@pytest.mark.parametrize(('work_size', 'largest'), [((4, 5), 30), ((5, 4), 30), ((7, 9), 63)])
def test_no_part_makes_more_pixels_than_allowed(monkeypatch, work_size, largest):
    """Neither of the masks nor of the maps on the way to them, whichever are larger."""
    monkeypatch.setattr(mask_painting, 'CHUNK_PIXELS', 130)
    bitmaps = torch.from_numpy(np.random.default_rng(0).random((11, 3, 10)) < 0.5)
    counts = []

    def paint(part):
        counts.append(part.stop - part.start)
        return bitmaps[part]

    masks = mask_painting.paint_in_parts(11, (3, 10), work_size, paint)
    assert max(counts) == 130 // largest
    np.testing.assert_array_equal(masks.to_ndarray(), bitmaps)


def test_no_masks():
    masks = mask_painting.paint_in_parts(0, (3, 10), (3, 10), lambda part: 1 / 0)
    assert (len(masks), masks.height, masks.width) == (0, 3, 10)

"""Reading masks at points, against mmcv's point_sample on full-size bitmaps."""
import numpy as np
import pytest
import torch
from mmcv.ops import point_sample

from mmsart.structures.mask import point_samples
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.point_samples import sample_points


@pytest.fixture
def scene():
    rng = np.random.default_rng(0)
    bitmaps = np.zeros((6, 23, 31), np.uint8)
    for bitmap in bitmaps[:5]:  # the last one is empty
        y, x = rng.integers(0, (20, 28))
        bitmap[y:y + 9, x:x + 12] = rng.integers(0, 2, bitmap[y:y + 9, x:x + 12].shape)
    inds = torch.from_numpy(rng.integers(0, 6, 40))
    points = torch.from_numpy(rng.uniform(-0.2, 1.2, (40, 50, 2))).float()
    points[0, :4] = torch.tensor([[0., 0], [1, 1], [0, 1], [0.5 / 31, 0.5 / 23]])
    return bitmaps, points, inds


def test_values_are_those_of_bitmaps(scene):
    bitmaps, points, inds = scene
    expected = point_sample(torch.from_numpy(bitmaps).float()[inds][:, None], points)[:, 0]
    found = sample_points(CroppedMasks.from_bitmaps(bitmaps), points, inds)
    assert 0.02 < float(expected.mean()) < 0.5
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_chunks_make_no_difference(scene, monkeypatch):
    bitmaps, points, inds = scene
    masks = CroppedMasks.from_bitmaps(bitmaps)
    whole = sample_points(masks, points, inds)
    monkeypatch.setattr(point_samples, 'CHUNK_POINTS', 120)
    assert torch.equal(sample_points(masks, points, inds), whole)


def test_no_masks_and_no_points():
    masks = CroppedMasks.empty(5, 6)
    assert sample_points(masks, torch.zeros(0, 3, 2), torch.zeros(0).long()).shape == (0, 3)
    empty = CroppedMasks.from_bitmaps(np.zeros((2, 5, 6), np.uint8))
    assert not sample_points(empty, torch.rand(2, 3, 2), torch.tensor([0, 1])).any()

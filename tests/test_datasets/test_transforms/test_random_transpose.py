"""Mirroring at the diagonal, against NumPy on full-size bitmaps."""
import numpy as np
import torch
from mmdet.structures.bbox import HorizontalBoxes

from mmsart.datasets.transforms import RandomTranspose
from mmsart.structures.mask.cropped_masks import CroppedMasks


def sample():
    rng = np.random.default_rng(0)
    bitmaps = rng.random((4, 20, 31)) < 0.2
    bitmaps[3] = False
    masks = CroppedMasks.from_bitmaps(bitmaps)
    return dict(img=rng.integers(0, 255, (20, 31, 3), np.uint8), img_shape=(20, 31),
                gt_masks=masks, gt_bboxes=masks.get_bboxes('hbox')), bitmaps


def test_image_boxes_and_masks_are_transposed():
    results, bitmaps = sample()
    image = results['img']
    out = RandomTranspose(prob=1).transform(results)
    np.testing.assert_array_equal(out['img'], image.transpose(1, 0, 2))
    assert out['img_shape'] == (31, 20)
    np.testing.assert_array_equal(out['gt_masks'].to_ndarray(), bitmaps.transpose(0, 2, 1))
    assert isinstance(out['gt_bboxes'], HorizontalBoxes)
    torch.testing.assert_close(
        out['gt_bboxes'].tensor, out['gt_masks'].get_bboxes('hbox').tensor)


def test_with_probability_zero_nothing_changes():
    results, bitmaps = sample()
    out = RandomTranspose(prob=0).transform(results)
    assert out['img_shape'] == (20, 31)
    np.testing.assert_array_equal(out['gt_masks'].to_ndarray(), bitmaps)


def test_the_homography_tells_where_boxes_have_gone():
    results, _ = sample()
    before = results['gt_bboxes'].tensor.clone()
    results['homography_matrix'] = np.array([[1, 0, 3], [0, 1, 5], [0, 0, 1]], np.float32)
    out = RandomTranspose(prob=1).transform(results)
    moved = HorizontalBoxes(before)
    moved.project_(out['homography_matrix'])
    torch.testing.assert_close(moved.tensor, out['gt_bboxes'].tensor + torch.tensor([5., 3, 5, 3]))

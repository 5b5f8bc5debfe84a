import numpy as np
import pytest
from mmcv.transforms import Compose
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks

import mmsart.datasets.transforms  # noqa: F401
from mmsart.structures.mask.cropped_masks import CroppedMasks


@pytest.mark.parametrize('mask_type', [CroppedMasks, BitmapMasks])
@pytest.mark.parametrize('angle', [-15.0, 15.0])
def test_square_turned_by_an_angle(mask_type, angle):
    """A square of side a has a bounding box of a (cos + sin) after rotation, no more."""
    square = np.zeros((1, 121, 121), np.uint8)
    square[0, 40:81, 40:81] = 1
    masks = (CroppedMasks.from_bitmaps(square) if mask_type is CroppedMasks
             else BitmapMasks(square, 121, 121))
    results = dict(img=np.repeat(square[0, ..., None] * 200, 3, 2), img_shape=(121, 121),
                   gt_bboxes=HorizontalBoxes([[40, 40, 81, 81]]), gt_masks=masks)
    pipeline = Compose([
        dict(type='mmdet.Rotate', min_mag=abs(angle), max_mag=abs(angle),
             reversal_prob=float(angle > 0), img_border_value=0),
        dict(type='mmdet.BoxesFromMasks')])
    results = pipeline(results)
    side = 41 * (np.cos(np.deg2rad(15)) + np.sin(np.deg2rad(15)))
    x1, y1, x2, y2 = results['gt_bboxes'].tensor[0].tolist()
    assert x2 - x1 == pytest.approx(side, abs=1.5)
    assert y2 - y1 == pytest.approx(side, abs=1.5)
    assert (x1 + x2) / 2 == pytest.approx(60.5, abs=1)
    bright = results['img'][..., 0] > 100
    rows, columns = np.nonzero(results['gt_masks'].to_ndarray()[0])
    assert [x1, y1, x2, y2] == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    turned = results['gt_masks'].to_ndarray()[0].astype(bool)
    assert (bright & turned).sum() / (bright | turned).sum() > 0.97


def test_off_centre_mask_turns_the_way_of_the_image():
    """A sign error would be invisible on a square in the middle."""
    bar = np.zeros((1, 101, 101), np.uint8)
    bar[0, 45:56, 80:100] = 1
    results = dict(img=np.repeat(bar[0, ..., None] * 200, 3, 2), img_shape=(101, 101),
                   gt_bboxes=HorizontalBoxes([[80, 45, 100, 56]]),
                   gt_masks=CroppedMasks.from_bitmaps(bar))
    results = Compose([
        dict(type='mmdet.Rotate', min_mag=15.0, max_mag=15.0, reversal_prob=0.0,
             img_border_value=0),
        dict(type='mmdet.BoxesFromMasks')])(results)
    bright = results['img'][..., 0] > 100
    turned = results['gt_masks'].to_ndarray()[0].astype(bool)
    assert (bright & turned).sum() / (bright | turned).sum() > 0.9


def test_mask_out_of_sight_gives_an_empty_box():
    masks = CroppedMasks.from_bitmaps(np.zeros((1, 8, 8), np.uint8))
    results = Compose([dict(type='mmdet.BoxesFromMasks')])(
        dict(gt_bboxes=HorizontalBoxes([[1, 1, 5, 5]]), gt_masks=masks))
    assert results['gt_bboxes'].tensor.tolist() == [[0, 0, 0, 0]]

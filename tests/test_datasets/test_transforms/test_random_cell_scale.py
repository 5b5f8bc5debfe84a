"""Images scaled until their median cell has the diameter asked for."""
import numpy as np
import pytest

from mmsart.datasets.transforms import RandomCellScale
from mmsart.structures.mask.cropped_masks import CroppedMasks


def sample(side, count=5):
    bitmaps = np.zeros((count, 120, 200), np.uint8)
    for number, bitmap in enumerate(bitmaps):
        bitmap[10:10 + side, 30 * number:30 * number + side] = 1
    masks = CroppedMasks.from_bitmaps(bitmaps)
    return dict(img=np.zeros((120, 200, 3), np.uint8), img_shape=(120, 200), gt_masks=masks,
                gt_bboxes=masks.get_bboxes('hbox'))


@pytest.mark.parametrize('side', [8, 16, 24])
def test_the_median_cell_gets_the_diameter(side):
    out = RandomCellScale(diameter=(16, 16)).transform(sample(side))
    assert out['img_shape'] == (round(120 * 16 / side), round(200 * 16 / side))
    assert out['img'].shape[:2] == out['img_shape'] == (out['gt_masks'].height,
                                                       out['gt_masks'].width)
    np.testing.assert_allclose(np.sqrt(out['gt_masks'].areas), 16, atol=1)
    np.testing.assert_allclose(out['gt_bboxes'].widths.numpy(), 16, atol=0.1)


def test_diameters_fill_the_range_evenly_in_their_logarithm():
    np.random.seed(0)
    transform = RandomCellScale(diameter=(10, 40))
    drawn = [np.median(transform.transform(sample(20))['gt_bboxes'].widths) for _ in range(200)]
    assert 10 <= min(drawn) < 11 < 38 < max(drawn) <= 40
    assert 17 < np.exp(np.mean(np.log(drawn))) < 23  # the geometric mean is 20


def test_scales_stay_in_bounds_and_empty_images_keep_their_size():
    out = RandomCellScale(diameter=(40, 40), scale_range=(0.5, 1.5)).transform(sample(4))
    assert out['img_shape'] == (180, 300)
    assert RandomCellScale().transform(sample(4, count=0))['img_shape'] == (120, 200)

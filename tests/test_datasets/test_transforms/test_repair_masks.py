"""Masks that are mended for a training."""
import numpy as np
import pytest
from scipy import ndimage

from mmsart.datasets.transforms import RepairMasks
from mmsart.structures.mask.cropped_masks import CroppedMasks

SIZE = (40, 60)


def draw(*boxes):
    """Paint a mask from half-open boxes xyxy."""
    bitmap = np.zeros(SIZE, np.uint8)
    for x1, y1, x2, y2 in boxes:
        bitmap[y1:y2, x1:x2] = 1
    return bitmap


def sample(*bitmaps):
    masks = CroppedMasks.from_bitmaps(np.array(bitmaps).reshape(-1, *SIZE))
    count = len(masks)
    return dict(gt_masks=masks, gt_bboxes=masks.get_bboxes('hbox'),
                gt_bboxes_labels=np.arange(count), gt_ignore_flags=np.zeros(count, bool),
                gt_weights=np.arange(count) / 8)


def test_holes_are_filled_and_parts_that_hang_by_a_corner_fall_off():
    ring = draw((5, 5, 15, 15))
    ring[8:12, 8:12] = 0
    torn = draw((30, 5, 40, 15), (40, 15, 43, 18))
    out = RepairMasks().transform(sample(ring, torn))
    np.testing.assert_array_equal(
        out['gt_masks'].to_ndarray(), [draw((5, 5, 15, 15)), draw((30, 5, 40, 15))])
    np.testing.assert_array_equal(
        out['gt_bboxes'].numpy(), [[5, 5, 15, 15], [30, 5, 40, 15]])
    whole = RepairMasks(fill_holes=False, connectivity=8).transform(sample(ring, torn))
    np.testing.assert_array_equal(whole['gt_masks'].to_ndarray(), [ring, torn])


def test_an_outline_of_diagonal_steps_becomes_the_cell_it_encloses():
    y, x = np.indices(SIZE)
    distance = abs(y - 20) + abs(x - 30)
    out = RepairMasks().transform(sample((distance == 10).astype(np.uint8)))
    np.testing.assert_array_equal(out['gt_masks'].to_ndarray()[0], distance <= 10)


def test_crumbs_and_cells_inside_another_are_dropped_with_all_that_belongs_to_them():
    ring = draw((0, 0, 20, 20))
    ring[2:18, 2:18] = 0
    bitmaps = [ring, draw((5, 5, 11, 11)),  # this lies in the hole: a cell of its own
               draw((30, 0, 50, 20)), draw((32, 2, 40, 10)),  # inside
               draw((45, 10, 55, 20)),  # half inside
               draw((1, 30, 4, 33)),  # a crumb
               draw((20, 30, 30, 38)), draw((20, 30, 30, 38))]  # the same twice
    out = RepairMasks(min_area=10, max_inside=0.8).transform(sample(*bitmaps))
    assert out['gt_bboxes_labels'].tolist() == [0, 1, 2, 4, 6]
    assert (out['gt_weights'] * 8).tolist() == [0, 1, 2, 4, 6]
    assert len(out['gt_masks']) == len(out['gt_bboxes']) == len(out['gt_ignore_flags']) == 5
    assert out['gt_masks'].areas[0] == 400


def test_masks_that_are_whole_keep_their_loose_boxes():
    before = sample(draw((5, 5, 15, 15)))
    before['gt_bboxes'].tensor += 0.5
    wanted = before['gt_bboxes'].tensor.clone()
    assert (RepairMasks().transform(before)['gt_bboxes'].tensor == wanted).all()


@pytest.mark.parametrize('seed', range(5))
def test_equal_to_scipy(seed):
    rng = np.random.default_rng(seed)
    bitmaps = (rng.random((6, *SIZE)) < 0.55).astype(np.uint8)
    out = RepairMasks(max_inside=1).transform(sample(*bitmaps))['gt_masks'].to_ndarray()
    for found, bitmap in zip(out, bitmaps, strict=True):
        pieces, _ = ndimage.label(ndimage.binary_fill_holes(bitmap))
        np.testing.assert_array_equal(found, pieces == np.bincount(pieces.ravel())[1:].argmax() + 1)


def test_an_image_without_cells_stays():
    assert len(RepairMasks(max_inside=0.5, min_area=9).transform(sample())['gt_masks']) == 0

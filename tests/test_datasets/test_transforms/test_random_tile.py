"""RandomTile against slices of bitmaps."""
import numpy as np
import pytest
from mmdet.structures.bbox import HorizontalBoxes

from mmsart.datasets.transforms import RandomTile
from mmsart.imaging.tiles import even_grid
from mmsart.structures.mask.cropped_masks import CroppedMasks

SIZE = (60, 80)


def scene(seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE[0], :SIZE[1]]
    centres = rng.uniform(0, SIZE, (12, 2))
    bitmaps = np.stack([np.hypot(y - cy, x - cx) < r for (cy, cx), r in zip(
        centres, rng.uniform(3, 12, 12), strict=True)]).astype(np.uint8)
    masks = CroppedMasks.from_bitmaps(bitmaps)
    return bitmaps, dict(
        img=np.arange(SIZE[0] * SIZE[1]).reshape(SIZE), gt_masks=masks,
        gt_bboxes=masks.get_bboxes(), gt_bboxes_labels=np.arange(12),
        gt_ignore_flags=np.arange(12) % 5 == 0, gt_weights=np.arange(12) / 16)


@pytest.mark.parametrize('seed', range(12))
def test_cells_stay_that_are_in_the_tile_for_more_than_a_quarter(seed):
    np.random.seed(seed)
    bitmaps, results = scene(seed)
    found = RandomTile((28, 40), (3, 3), min_visible=0.25)(results)
    top, left = np.unravel_index(int(found['img'][0, 0]), SIZE)
    assert found['img_shape'] == found['img'].shape == (28, 40)
    assert (left, top, left + 40, top + 28) in {
        tile.box for tile in even_grid(SIZE, (28, 40), (3, 3))}
    inside = bitmaps[:, top:top + 28, left:left + 40]
    kept = inside.sum((1, 2)) > 0.25 * bitmaps.sum((1, 2))
    assert kept.any()
    assert found['gt_bboxes_labels'].tolist() == np.flatnonzero(kept).tolist()
    assert (found['gt_ignore_flags'] == (np.flatnonzero(kept) % 5 == 0)).all()
    assert (found['gt_weights'] * 16).tolist() == np.flatnonzero(kept).tolist()
    np.testing.assert_array_equal(found['gt_masks'].to_ndarray(), inside[kept])
    assert isinstance(found['gt_bboxes'], HorizontalBoxes)
    assert found['gt_bboxes'].tensor.tolist() == CroppedMasks.from_bitmaps(
        inside[kept]).get_bboxes().tensor.tolist()


def test_every_tile_is_drawn():
    np.random.seed(0)
    step = RandomTile((28, 40), (3, 3))
    corners = {int(step(scene(3)[1])['img'][0, 0]) for _ in range(120)}
    assert len(corners) > 5


def test_nothing_is_left_of_an_image_without_cells():
    _, results = scene(0)
    results['gt_masks'] = CroppedMasks.empty(*SIZE)
    assert RandomTile((28, 40), (3, 3))(results) is None

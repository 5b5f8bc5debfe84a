import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import TRANSFORMS

from mmsart.structures.mask.cropped_masks import CroppedMasks
from tests.test_datasets.test_transforms.test_mmdet_transforms import (
    assert_equal_results,
    crop_masks,
    make_results,
    run,
)


@pytest.mark.parametrize('seed', range(8))
@pytest.mark.parametrize('options', [
    dict(selected=False), dict(mask_occluded_thr=20, bbox_occluded_thr=2)])
def test_copy_paste_as_mmdet(seed, options):
    results = make_results(seed, cells=14)
    results['mix_results'] = [make_results(seed + 50, cells=12)]
    stock = run(dict(type='CopyPaste', **options), results, seed)
    ours = run(dict(type='CroppedCopyPaste', **options), crop_masks(results), seed)
    assert_equal_results(ours, stock)
    assert ours['img'].dtype == np.uint8


def test_copy_paste_of_nothing_changes_nothing():
    results = crop_masks(make_results(0))
    results['mix_results'] = [crop_masks(make_results(1))]
    results['mix_results'][0]['gt_masks'] = CroppedMasks.empty(60, 80)
    results['mix_results'][0]['gt_bboxes'] = results['gt_bboxes'][:0]
    pasted = run(dict(type='CroppedCopyPaste', selected=False), results, 0)
    assert_equal_results(pasted, {**make_results(0)})


@pytest.mark.parametrize('weighted', [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize('selected', [True, False])
def test_pasted_cells_keep_their_weights(weighted, selected):
    """Cells of an image without weights weigh 1: true labels joined with less sure ones."""
    results, source = (make_results(seed, cells=14) for seed in (0, 50))
    results['mix_results'] = [source]
    expected = {}
    for each, has, low in ((results, weighted[0], 0.2), (source, weighted[1], 0.6)):
        count = len(each['gt_bboxes_labels'])
        # The label tells which cell it was.
        each['gt_bboxes_labels'] = np.arange(count) + len(expected)
        weights = np.linspace(low, low + 0.1, count, dtype=np.float32)
        if has:
            each['gt_weights'] = weights
        expected |= dict(zip(each['gt_bboxes_labels'].tolist(),
                             weights if has else np.ones(count, np.float32), strict=True))
    pasted = run(dict(type='CroppedCopyPaste', selected=selected, max_num_pasted=9),
                 crop_masks(results), 1)
    labels = pasted['gt_bboxes_labels'].tolist()
    assert min(labels) < 14 <= max(labels)  # some of both images
    assert pasted['gt_weights'].tolist() == [expected[label] for label in labels]


@pytest.mark.parametrize('seed', range(8))
def test_random_erasing_as_mmdet(seed):
    options = dict(n_patches=(1, 4), ratio=(0.1, 0.4))
    results = make_results(seed)
    stock = run(dict(type='RandomErasing', **options), results, seed)
    ours = run(dict(type='CroppedRandomErasing', **options), crop_masks(results), seed)
    assert_equal_results(ours, stock)


def test_random_erasing_cannot_add_to_masks():
    with pytest.raises(AssertionError, match='expected 0'):
        TRANSFORMS.build(dict(type='CroppedRandomErasing', n_patches=1, ratio=0.2,
                              mask_border_value=1))


@pytest.mark.parametrize('seed', range(8))
@pytest.mark.parametrize('border', [(0, 0), (-10, -5)])
def test_random_affine_as_mmdet_and_opencv(seed, border):
    options = dict(max_rotate_degree=40, max_shear_degree=20, border=border)
    results = make_results(seed)
    bitmaps = results.pop('gt_masks').masks
    stock = run(dict(type='RandomAffine', **options), results, seed)
    results['gt_masks'] = CroppedMasks.from_bitmaps(bitmaps)
    ours = run(dict(type='CroppedRandomAffine', **options), results, seed)
    np.testing.assert_array_equal(ours['img'], stock['img'])
    assert torch.equal(ours['gt_bboxes'].tensor, stock['gt_bboxes'].tensor)
    np.testing.assert_array_equal(ours['gt_bboxes_labels'], stock['gt_bboxes_labels'])
    np.testing.assert_array_equal(ours['gt_ignore_flags'], stock['gt_ignore_flags'])
    assert len(ours['gt_masks']) == len(ours['gt_bboxes'])


def test_warp_affine_is_opencvs():
    masks = make_results(3)['gt_masks'].masks
    matrix = np.array([[0.9, 0.3, -7.3], [-0.2, 1.2, 4.9]])
    two = [np.stack([mask, mask], -1) for mask in masks]  # two channels: fixed point
    expected = [cv2.warpAffine(mask, matrix, (70, 90))[..., 0] for mask in two]
    found = CroppedMasks.from_bitmaps(masks).warp_affine(matrix, (90, 70))
    np.testing.assert_array_equal(found.to_ndarray(), expected)

"""Weights of cells on their way through the transforms, against mmdet's own without weights."""
import numpy as np
import pytest
import torch
from mmdet.datasets.transforms import FilterAnnotations, PackDetInputs, RandomCrop
from mmengine.dataset import Compose

from mmsart.datasets.transforms import (
    LoadCroppedAnnotations,
    PackWeightedInputs,
    WeightedFilterAnnotations,
    WeightedRandomCrop,
)
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.utils import UserError

SIZE = (60, 90)


def sample(weights=None, count=30, seed=0):
    rng = np.random.default_rng(seed)
    bitmaps = np.zeros((count, *SIZE), np.uint8)
    for bitmap in bitmaps:
        x, y = rng.integers(0, 80), rng.integers(0, 50)
        bitmap[y:y + rng.integers(2, 14), x:x + rng.integers(2, 14)] = 1
    masks = CroppedMasks.from_bitmaps(bitmaps)
    found = dict(img=np.zeros((*SIZE, 3), np.uint8), img_shape=SIZE, gt_masks=masks, img_path='a',
                 gt_bboxes=masks.get_bboxes('hbox'), gt_bboxes_labels=np.arange(count),
                 gt_ignore_flags=np.zeros(count, bool))
    return found if weights is None else {**found, 'gt_weights': np.asarray(weights, np.float32)}


def run(steps, results, seed):
    np.random.seed(seed)
    return Compose(steps)(results)


def steps(crop, filter_annotations, pack, **options):
    return [crop(crop_size=(40, 30), recompute_bbox=True, **options),
            filter_annotations(min_gt_bbox_wh=(3, 3), by_mask=True, min_gt_mask_area=15),
            pack(meta_keys=())]


@pytest.mark.parametrize('seed', range(5))
def test_weights_stay_with_their_cells_and_all_else_is_mmdets(seed):
    """Labels number the cells, so that a weight tells by its label where it came from."""
    stock = run(steps(RandomCrop, FilterAnnotations, PackDetInputs), sample(), seed)
    ours = steps(WeightedRandomCrop, WeightedFilterAnnotations, PackWeightedInputs)
    for results in (sample(), sample(np.arange(30) / 64)):
        packed = run(ours, results, seed)
        found, expected = (each['data_samples'].gt_instances for each in (packed, stock))
        assert 0 < len(found) < 30
        assert torch.equal(found.bboxes.tensor, expected.bboxes.tensor)
        assert torch.equal(found.labels, expected.labels)
        assert found.masks.to_rles() == expected.masks.to_rles()
        assert 'gt_ignore_flags' not in found
    assert (found.weights * 64).tolist() == found.labels.tolist()


@pytest.mark.parametrize('weights', [None, np.full(30, 0.5)])
def test_cells_that_are_cut_count_less(weights):
    before = sample(weights)
    areas = before['gt_masks'].areas
    np.random.seed(1)
    out = WeightedRandomCrop(crop_size=(40, 30), cut_weight=0.2).transform(before)
    shares = out['gt_masks'].areas / areas[out['gt_bboxes_labels']]
    assert (shares < 1).any()
    assert (shares == 1).any()
    np.testing.assert_allclose(
        out['gt_weights'], (0.2 + 0.8 * shares) * (1 if weights is None else 0.5), rtol=1e-6)
    assert out['gt_weights'].dtype == np.float32


def test_images_without_cells_or_annotations():
    crop = WeightedRandomCrop(crop_size=(40, 30), cut_weight=0.2, allow_negative_crop=True)
    assert not len(crop.transform(sample(count=0))['gt_weights'])
    assert crop.transform(dict(img=np.zeros((60, 90, 3)), img_shape=SIZE))['img'].shape[:2] == (
        30, 40)
    strict = WeightedRandomCrop(crop_size=(40, 30), cut_weight=0.2)
    assert strict.transform(sample(count=0)) is None
    none_left = WeightedFilterAnnotations(min_gt_bbox_wh=(99, 99))
    assert none_left.transform(sample(np.ones(30))) is None


def test_weights_come_from_the_annotations():
    instances = [dict(bbox=[0, 0, 3, 1], bbox_label=0, ignore_flag=0, mask='1 3', weight=0.25),
                 dict(bbox=[4, 0, 6, 1], bbox_label=1, ignore_flag=1, mask='5 2', weight=0.75)]
    results = dict(instances=instances, height=2, width=9, img=np.zeros((2, 9, 3)))
    loaded = LoadCroppedAnnotations().transform(dict(results))
    assert loaded['gt_weights'].tolist() == [0.25, 0.75]
    packed = PackWeightedInputs(meta_keys=()).transform(loaded)['data_samples']
    assert packed.gt_instances.weights.tolist() == [0.25]  # the other one is ignored
    for instance in instances:
        del instance['weight']
    assert 'gt_weights' not in LoadCroppedAnnotations().transform(dict(results))


def test_a_transform_that_loses_weights_is_named():
    results = FilterAnnotations(min_gt_bbox_wh=(5, 5)).transform(sample(np.ones(30)))
    with pytest.raises(UserError, match=r'a: found 30 weights of \d+ cells: .*WeightedRandomCrop'):
        PackWeightedInputs().transform(results)
    with pytest.raises(UserError, match='cut_weight: found 2, expected a number from 0 to 1'):
        WeightedRandomCrop(crop_size=(4, 4), cut_weight=2)

"""mmdet's own transforms give the same with masks kept in their boxes as with bitmaps."""
import copy
import random

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.registry import TRANSFORMS
from mmdet.structures.mask import BitmapMasks

import mmsart.datasets.transforms  # noqa: F401  registers the stand-ins
from mmsart.structures.mask.cropped_masks import CroppedMasks

SIZE = (60, 80)


def make_results(seed, cells=9, size=SIZE):
    """Draw an image with cells, some cut by its border."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((cells, *size), np.uint8)
    for mask in masks:
        cv2.ellipse(mask, rng.integers(0, size[::-1]).tolist(), rng.integers(2, 9, 2).tolist(),
                    float(rng.uniform(0, 180)), 0, 360, 1, -1)
    masks = masks[masks.any((1, 2))]
    stock = BitmapMasks(masks, *size)
    return dict(
        img=rng.integers(0, 256, (*size, 3)).astype(np.uint8), img_shape=size, ori_shape=size,
        height=size[0], width=size[1], img_id=str(seed),
        gt_bboxes=stock.get_bboxes('hbox'), gt_masks=stock,
        gt_bboxes_labels=rng.integers(0, 3, len(masks)),
        gt_ignore_flags=rng.random(len(masks)) < 0.2)


def crop_masks(results):
    results = copy.deepcopy(results)
    results['gt_masks'] = CroppedMasks.from_bitmaps(results['gt_masks'].masks)
    for other in results.get('mix_results', []):
        other['gt_masks'] = CroppedMasks.from_bitmaps(other['gt_masks'].masks)
    return results


def run(config, results, seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    configs = config if isinstance(config, list) else [config]
    return Compose([TRANSFORMS.build(step) for step in configs])(copy.deepcopy(results))


def assert_equal_results(ours, stock):
    if stock is None:
        assert ours is None
        return
    assert ours['img_shape'][:2] == stock['img_shape'][:2]
    np.testing.assert_array_equal(ours['img'], stock['img'])
    assert type(ours['gt_bboxes']) is type(stock['gt_bboxes'])
    assert torch.equal(ours['gt_bboxes'].tensor, stock['gt_bboxes'].tensor)
    np.testing.assert_array_equal(ours['gt_bboxes_labels'], stock['gt_bboxes_labels'])
    np.testing.assert_array_equal(ours['gt_ignore_flags'], stock['gt_ignore_flags'])
    assert isinstance(ours['gt_masks'], CroppedMasks)
    np.testing.assert_array_equal(ours['gt_masks'].to_ndarray(), stock['gt_masks'].masks)


UNCHANGED = [
    dict(type='Resize', scale=(50, 50), keep_ratio=False),
    dict(type='Resize', scale=(150, 110), keep_ratio=True),
    dict(type='FixShapeResize', width=64, height=64, keep_ratio=True),
    dict(type='RandomChoiceResize', scales=[(40, 40), (100, 90)], resize_type='mmdet.Resize',
         keep_ratio=True),
    dict(type='RandomFlip', prob=[0.3, 0.3, 0.3], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='RandomCrop', crop_size=(32, 32)),
    dict(type='RandomCrop', crop_size=(32, 48), recompute_bbox=True, allow_negative_crop=True),
    dict(type='RandomCrop', crop_type='relative_range', crop_size=(0.4, 0.6)),
    dict(type='MinIoURandomCrop'),
    dict(type='Expand', prob=1.0, ratio_range=(1, 2)),
    dict(type='Pad', size_divisor=32),
    dict(type='Pad', size=(100, 90)),
    dict(type='Rotate', prob=1.0, max_mag=45.0),
    dict(type='ShearX', prob=1.0),
    dict(type='ShearY', prob=1.0),
    dict(type='TranslateX', prob=1.0, max_mag=0.3),
    dict(type='TranslateY', prob=1.0, max_mag=0.3),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(4, 4), min_gt_mask_area=30, by_mask=True),
    [dict(type='RandomCrop', crop_size=(32, 32), recompute_bbox=True, allow_negative_crop=True),
     dict(type='Rotate', prob=1.0), dict(type='Resize', scale=(64, 64)),
     dict(type='RandomFlip', prob=0.5), dict(type='Pad', size_divisor=50),
     dict(type='FilterAnnotations', min_gt_mask_area=5, by_mask=True, keep_empty=False)],
]


@pytest.mark.parametrize('config', UNCHANGED, ids=lambda config: str(config)[:60])
@pytest.mark.parametrize('seed', range(6))
def test_unchanged(config, seed):
    results = make_results(seed)
    assert_equal_results(run(config, crop_masks(results), seed), run(config, results, seed))


@pytest.mark.parametrize('name', ['CachedMosaic', 'CachedMixUp'])
@pytest.mark.parametrize('seed', range(3))
def test_cached_mixing_unchanged(name, seed):
    scale = dict(img_scale=(64, 64)) | (
        dict(ratio_range=(0.8, 1.0)) if name == 'CachedMixUp' else {})
    outputs = []
    for convert in (crop_masks, copy.deepcopy):
        random.seed(seed)
        np.random.seed(seed)
        transform = TRANSFORMS.build(dict(type=name, **scale, prob=1.0))
        outputs.append([transform(convert(make_results(seed + i, size=(64, 64))))
                        for i in range(6)])
    for ours, stock in zip(*outputs, strict=True):
        np.testing.assert_array_equal(ours['gt_masks'].to_ndarray(), stock['gt_masks'].masks)
        assert torch.equal(ours['gt_bboxes'].tensor, stock['gt_bboxes'].tensor)
        # Each mask fills its box, or what a border left of it, up to a pixel of resizing.
        bounds, boxes = ours['gt_masks'].get_bboxes('hbox').tensor, ours['gt_bboxes'].tensor
        assert len(bounds) == len(boxes)
        there = torch.from_numpy(ours['gt_masks'].areas > 0)
        outward = torch.tensor([-1, -1, 1, 1]) * (bounds - boxes)
        assert there.float().mean() > 0.8  # a border leaves some box without a pixel of its mask
        assert outward[there].max() <= 1.5
        assert outward[there].median() >= -1


@pytest.mark.parametrize('seed', range(3))
def test_pack_det_inputs_unchanged(seed):
    results = make_results(seed)
    stock = run(dict(type='PackDetInputs', meta_keys=()), results, seed)
    ours = run(dict(type='PackDetInputs', meta_keys=()), crop_masks(results), seed)
    assert torch.equal(ours['inputs'], stock['inputs'])
    for part in ('gt_instances', 'ignored_instances'):
        a, b = getattr(ours['data_samples'], part), getattr(stock['data_samples'], part)
        assert isinstance(a.masks, CroppedMasks)
        np.testing.assert_array_equal(a.masks.to_ndarray(), b.masks.masks)
        assert torch.equal(a.labels, b.labels)

import subprocess
import sys

import numpy as np
from hypothesis import given
from pycocotools import mask as coco_mask

from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.intersections import intersections
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.mask.patches import covered
from tests.test_structures.bitmap_strategies import bitmaps


@given(bitmaps())
def test_patches_go_in_and_come_out(bits):
    masks = PatchMasks.from_bitmaps(bits)
    again = PatchMasks.from_patches(masks.patches(), masks.boxes, masks.height, masks.width)
    np.testing.assert_array_equal(again.to_ndarray(), bits)
    assert all(np.array_equal(a, masks.patch(i)) for i, a in enumerate(masks.patches()))
    assert len(PatchMasks.from_patches([], np.zeros((0, 4)), 5, 6)) == 0


@given(bitmaps())
def test_what_masks_cover_of_a_box(bits):
    masks = PatchMasks.from_bitmaps(bits)
    others = masks[len(masks) // 2:]
    for x1, y1, x2, y2 in masks.boxes.tolist():
        np.testing.assert_array_equal(
            covered((x1, y1, x2, y2), others.patches(), others.boxes),
            bits[len(bits) // 2:].any(0)[y1:y2, x1:x2])


@given(bitmaps())
def test_cocos_code_is_pycocotools_own(bits):
    expected = [coco_mask.encode(np.asfortranarray(mask)) for mask in bits]
    assert PatchMasks.from_bitmaps(bits).to_coco() == expected


@given(bitmaps())
def test_centroids_are_means_of_pixels(bits):
    expected = [np.argwhere(mask)[:, ::-1].mean(0) if mask.any() else (0, 0) for mask in bits]
    np.testing.assert_allclose(
        PatchMasks.from_bitmaps(bits).centroids, np.reshape(expected, (-1, 2)))


def test_every_method_keeps_the_class():
    bits = np.eye(6, dtype=np.uint8)[None].repeat(2, axis=0)
    for cls in (PatchMasks, CroppedMasks):
        masks = cls.from_bitmaps(bits)
        made = [
            cls.empty(6, 6), cls.like(PatchMasks.from_bitmaps(bits)), masks[0], masks[[1, 0]],
            cls.from_runs(masks.to_runs(), 6, 6), cls.from_rles(masks.to_rles(), 6, 6),
            cls.cat([masks, masks]), masks.erase(np.zeros((6, 6), bool)), masks.tighten(),
            masks.from_patches(masks.patches(), masks.boxes, 6, 6)]
        assert {type(each) for each in made} == {cls}


@given(bitmaps(), bitmaps())
def test_intersections_equal_dense_product(ours, others):
    height, width = (max(a, b) for a, b in zip(ours.shape[1:], others.shape[1:], strict=True))
    ours, others = (
        np.pad(bits, [(0, 0), (0, height - bits.shape[1]), (0, width - bits.shape[2])])
        for bits in (ours, others))
    expected = np.einsum('nhw,mhw->nm', ours.astype(int), others.astype(int))
    found = intersections(PatchMasks.from_bitmaps(ours), PatchMasks.from_bitmaps(others))
    np.testing.assert_array_equal(found.toarray(), expected)


def test_masks_and_detections_need_neither_torch_nor_mmdet():
    code = ('import sys, mmsart.structures.detections; '
            'print(sorted({"torch", "mmcv", "mmengine", "mmdet"} & set(sys.modules)))')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'

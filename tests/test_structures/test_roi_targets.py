"""Targets cut from patches against RoIAlign on full-size bitmaps."""
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.ops import roi_align
from mmdet.structures.mask import BitmapMasks

from mmsart.ops import are_compiled
from mmsart.structures.mask import roi_targets as module
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.roi_targets import roi_targets


def random_bitmaps(rng: np.random.Generator, count: int, height: int, width: int) -> np.ndarray:
    """Draw noisy rectangles; some touch the border, some are empty."""
    bitmaps = np.zeros((count, height, width), np.uint8)
    for bitmap in bitmaps:
        y1, y2 = sorted(rng.integers(0, height + 1, 2))
        x1, x2 = sorted(rng.integers(0, width + 1, 2))
        bitmap[y1:y2, x1:x2] = rng.random((y2 - y1, x2 - x1)) < 0.7
    return bitmaps


def random_rois(
    rng: np.random.Generator, count: int, height: int, width: int, reach: float,
) -> torch.Tensor:
    """Draw boxes, some of them on whole pixels, up to ``reach`` pixels outside the image."""
    x = np.sort(rng.uniform(-reach, width + reach, (count, 2)), axis=1)
    y = np.sort(rng.uniform(-reach, height + reach, (count, 2)), axis=1)
    boxes = np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1)
    boxes[::3] = boxes[::3].round()
    return torch.from_numpy(boxes.astype(np.float32))


def stock_targets(
    bitmaps: np.ndarray, rois: torch.Tensor, inds: torch.Tensor, shape: tuple[int, int],
) -> torch.Tensor:
    """RoIAlign on one full-size bitmap a RoI: the plain twin."""
    numbered = torch.cat([torch.arange(len(rois))[:, None].float(), rois], dim=1)
    stack = torch.from_numpy(bitmaps).float()[inds][:, None]
    return roi_align(stack, numbered, shape, 1.0, 0, 'avg', True)[:, 0]


def assert_like_stock(found: np.ndarray, stock: np.ndarray) -> None:
    """Compare to the bit with mmcv's compiled RoIAlign; the one in Python sums in another order."""
    np.testing.assert_allclose(found, stock, rtol=0, atol=0 if are_compiled() else 1e-6)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), height=st.integers(1, 70), width=st.integers(1, 70),
    reach=st.sampled_from([0.0, 0.4, 3.0, 30.0]),
    shape=st.sampled_from([(28, 28), (7, 11), (1, 1)]),
)
def test_same_bits_as_roi_align(
    seed: int, height: int, width: int, reach: float, shape: tuple[int, int],
) -> None:
    rng = np.random.default_rng(seed)
    bitmaps = random_bitmaps(rng, 6, height, width)
    rois = random_rois(rng, 15, height, width, reach)
    inds = torch.from_numpy(rng.integers(0, 6, 15))
    targets = roi_targets(CroppedMasks.from_bitmaps(bitmaps), rois, inds, shape)
    assert_like_stock(targets.numpy(), stock_targets(bitmaps, rois, inds, shape).numpy())


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    masks = CroppedMasks.from_bitmaps(random_bitmaps(rng, 9, 40, 50))
    rois, inds = random_rois(rng, 50, 40, 50, 2), torch.from_numpy(rng.integers(0, 9, 50))
    whole = roi_targets(masks, rois, inds, (14, 14))
    monkeypatch.setattr(module, 'CHUNK_BINS', 1)
    assert torch.equal(roi_targets(masks, rois, inds, (14, 14)), whole)


@pytest.mark.parametrize('chunk_pixels', [1, 1 << 26])
def test_bitmaps_as_a_gpu_uses_them_give_the_same(
    monkeypatch: pytest.MonkeyPatch, chunk_pixels: int,
) -> None:
    rng = np.random.default_rng(6)
    masks = CroppedMasks.from_bitmaps(random_bitmaps(rng, 9, 40, 50))
    rois, inds = random_rois(rng, 50, 40, 50, 2), torch.from_numpy(rng.integers(0, 9, 50))
    monkeypatch.setattr(module, 'CHUNK_PIXELS', chunk_pixels)
    assert_like_stock(module._from_bitmaps(masks, rois, inds, (14, 14)).numpy(),
                      roi_targets(masks, rois, inds, (14, 14)).numpy())


def test_roi_on_the_mask_is_full_and_beside_it_is_empty() -> None:
    bitmaps = np.zeros((1, 20, 20), np.uint8)
    bitmaps[0, 5:9, 6:16] = 1
    rois = torch.tensor([[7.0, 6.0, 15.0, 8.0], [0.0, 12.0, 20.0, 20.0]])
    targets = roi_targets(
        CroppedMasks.from_bitmaps(bitmaps), rois, torch.tensor([0, 0]), (4, 4))
    assert (targets[0] == 1).all()
    assert (targets[1] == 0).all()


def test_half_covered_cell_is_half() -> None:
    # One cell, 2 x 2 pixels, samples in the pixel centres; the left column is set.
    bitmaps = np.zeros((1, 4, 4), np.uint8)
    bitmaps[0, :, 1] = 1
    roi = torch.tensor([[1.0, 1.0, 3.0, 3.0]])
    target = roi_targets(CroppedMasks.from_bitmaps(bitmaps), roi, torch.tensor([0]), (1, 1))
    assert target.item() == 0.5


@pytest.mark.parametrize('num_rois', [0, 3])
def test_masks_without_pixels(num_rois: int) -> None:
    masks = CroppedMasks.from_bitmaps(np.zeros((2, 8, 8), np.uint8))
    rois = torch.tensor([[1.0, 1.0, 5.0, 6.0]]).repeat(num_rois, 1)
    targets = roi_targets(masks, rois, torch.zeros(num_rois, dtype=torch.long), (28, 28))
    assert targets.shape == (num_rois, 28, 28)
    assert not targets.any()


def test_empty_instance_behind_the_last_patch() -> None:
    bitmaps = np.zeros((2, 8, 8), np.uint8)
    bitmaps[0, 2:5, 2:5] = 1
    rois = torch.tensor([[0.0, 0.0, 8.0, 8.0]])
    targets = roi_targets(CroppedMasks.from_bitmaps(bitmaps), rois, torch.tensor([1]), (28, 28))
    assert not targets.any()


def test_crop_and_resize_equals_stock() -> None:
    rng = np.random.default_rng(3)
    bitmaps = random_bitmaps(rng, 5, 33, 41)
    rois = random_rois(rng, 20, 33, 41, 0).numpy()
    inds = rng.integers(0, 5, 20)
    stock, ours = (masks.crop_and_resize(rois, (28, 28), inds, binarize=False).to_ndarray()
                   for masks in (BitmapMasks(bitmaps, 33, 41), CroppedMasks.from_bitmaps(bitmaps)))
    assert_like_stock(ours, stock)
    binary = CroppedMasks.from_bitmaps(bitmaps).crop_and_resize(rois, (28, 28), inds)
    np.testing.assert_array_equal(binary.to_ndarray(), ours >= 0.5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_cuda_agrees_with_the_cpu() -> None:
    rng = np.random.default_rng(4)
    masks = CroppedMasks.from_bitmaps(random_bitmaps(rng, 30, 90, 110))
    rois, inds = random_rois(rng, 200, 90, 110, 5), torch.from_numpy(rng.integers(0, 30, 200))
    on_gpu = roi_targets(masks, rois.cuda(), inds.cuda(), (28, 28))
    assert on_gpu.is_cuda
    # Kernels round coordinates differently, and float32 has steps of 7.6e-6 pixels at 110.
    torch.testing.assert_close(
        on_gpu.cpu(), roi_targets(masks, rois, inds, (28, 28)), rtol=0, atol=2e-5)

"""Box-local pasting against mmdet's full-size bitmaps."""
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

from mmsart.structures.mask import paste as module
from mmsart.structures.mask.cropped_masks import CroppedMasks
from mmsart.structures.mask.paste import paste_masks


def random_boxes(
    rng: np.random.Generator, count: int, height: int, width: int, side: float,
) -> torch.Tensor:
    """Draw boxes up to ``side`` pixels wide, clipped to the image; some have no extent."""
    centres = rng.uniform(0, (width, height), (count, 2))
    halves = rng.uniform(0, side / 2, (count, 2))
    halves[::7, 0] = 0
    boxes = np.concatenate([centres - halves, centres + halves], axis=1)
    boxes[1::5] = boxes[1::5].round()
    return torch.from_numpy(boxes.clip(0, (width, height, width, height)).astype(np.float32))


def stock_masks(
    probs: torch.Tensor, boxes: torch.Tensor, height: int, width: int, thrs: torch.Tensor,
) -> np.ndarray:
    """Paste one mask after another into full-size bitmaps, as mmdet does: the plain twin."""
    bitmaps = torch.zeros(len(probs), height, width, dtype=torch.bool)
    for i, thr in enumerate(thrs):
        soft, place = _do_paste_mask(probs[i:i + 1, None], boxes[i:i + 1], height, width)
        bitmaps[(torch.tensor([i]), *place)] = soft >= thr
    return bitmaps.numpy()


def assert_tight(masks: CroppedMasks) -> None:
    for i in range(len(masks)):
        patch = masks.patch(i)
        if patch.size:
            assert all(side.any() for side in (patch[0], patch[-1], patch[:, 0], patch[:, -1]))
        else:
            assert not masks.boxes[i].any()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), height=st.integers(1, 90), width=st.integers(1, 90),
    side=st.sampled_from([2.0, 25.0, 300.0]), thr=st.sampled_from([0.05, 0.45, 0.5, 0.9, None]),
)
def test_same_bits_as_mmdet(
    seed: int, height: int, width: int, side: float, thr: float | None,
) -> None:
    rng = np.random.default_rng(seed)
    boxes = random_boxes(rng, 20, height, width, side)
    probs = torch.from_numpy(rng.random((20, 28, 28), dtype=np.float32))
    thrs = torch.full((20,), thr) if thr else torch.from_numpy(
        rng.uniform(0.1, 0.9, 20).astype(np.float32))
    masks = paste_masks(probs, boxes, (height, width), thr or thrs)
    np.testing.assert_array_equal(
        masks.to_ndarray().astype(bool), stock_masks(probs, boxes, height, width, thrs))
    assert_tight(masks)


def test_full_soft_mask_fills_its_box() -> None:
    boxes = torch.tensor([[3.0, 2.0, 9.0, 7.0], [0.0, 0.0, 12.0, 10.0]])
    masks = paste_masks(torch.ones(2, 28, 28), boxes, (10, 12), 0.5)
    np.testing.assert_array_equal(masks.boxes, boxes.int().numpy())
    assert masks.data.all()


def test_order_is_kept_across_sizes() -> None:
    sides = torch.tensor([40.0, 3.0, 80.0, 5.0, 41.0, 3.0])
    boxes = torch.stack([torch.zeros(6), torch.zeros(6), sides, sides], dim=1)
    masks = paste_masks(torch.ones(6, 28, 28), boxes, (80, 80), 0.5)
    np.testing.assert_array_equal(masks.boxes[:, 2], sides.numpy())


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    boxes, probs = random_boxes(rng, 30, 50, 60, 40), torch.rand(30, 28, 28)
    whole = paste_masks(probs, boxes, (50, 60), 0.5)
    monkeypatch.setattr(module, 'CHUNK_PIXELS_CPU', 1)
    pieces = paste_masks(probs, boxes, (50, 60), 0.5)
    np.testing.assert_array_equal(pieces.boxes, whole.boxes)
    np.testing.assert_array_equal(pieces.data, whole.data)


def test_nothing_to_paste() -> None:
    masks = paste_masks(torch.zeros(0, 28, 28), torch.zeros(0, 4), (10, 12), 0.5)
    assert (len(masks), masks.height, masks.width) == (0, 10, 12)


def test_masks_below_the_threshold_are_empty() -> None:
    masks = paste_masks(
        torch.full((2, 28, 28), 0.2), torch.tensor([[1.0, 1.0, 6.0, 6.0]] * 2), (10, 12), 0.5)
    assert not masks.boxes.any()
    assert not len(masks.data)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_cuda_agrees_with_the_cpu() -> None:
    rng = np.random.default_rng(2)
    boxes, probs = random_boxes(rng, 100, 200, 220, 60), torch.rand(100, 28, 28)
    on_cpu = paste_masks(probs, boxes, (200, 220), 0.5).to_ndarray()
    on_gpu = paste_masks(probs.cuda(), boxes.cuda(), (200, 220), 0.5).to_ndarray()
    assert (on_cpu != on_gpu).mean() < 1e-6  # the two devices round differently

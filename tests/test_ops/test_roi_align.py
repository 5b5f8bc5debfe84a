"""RoIAlign in Python, against plain loops and, where it is there, mmcv's compiled operator."""
import math

import pytest
import torch

from mmsart.ops import roi_align as ops
from tests.test_ops.compiled import compiled, needs_compiled

CASES = [dict(aligned=aligned, sampling_ratio=ratio, bins=bins)
         for aligned in (True, False) for ratio in (0, 1, 2, 3) for bins in ((7, 7), (2, 5))]


def draw(seed, count, largest, scale, height=24, width=18, channels=3, dtype=torch.float32):
    """Draw maps, RoIs of all sizes, some of them empty or off the map, and a gradient's seed."""
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(2, channels, height, width, generator=generator, dtype=dtype)
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([width, height]) / scale
    side = torch.rand(count, 2, generator=generator) ** 2 * largest
    image = torch.randint(0, 2, (count, 1), generator=generator)
    rois = torch.cat([image, corner * 1.2 - 5, corner * 1.2 - 5 + side], dim=1).to(dtype)
    if count > 3:
        rois[0, 3:] = rois[0, 1:3]
        rois[1, 1:] -= 1000
    return maps, rois, generator


def pool(operators, maps, rois, generator, scale, bins, aligned, sampling_ratio, seed=None):
    """Pool forwards and backwards; give the features and the gradient of the maps."""
    output = maps.new_zeros(len(rois), maps.shape[1], *bins)
    gradient = torch.zeros_like(maps)
    if seed is None:
        seed = torch.randn(output.shape, generator=generator, dtype=maps.dtype)
    unused = maps.new_zeros(0)
    arguments = dict(aligned_height=bins[0], aligned_width=bins[1], spatial_scale=scale,
                     sampling_ratio=sampling_ratio, pool_mode=1, aligned=aligned)
    operators.roi_align_forward(maps, rois, output, unused, unused, **arguments)
    operators.roi_align_backward(seed, rois, unused, unused, gradient, **arguments)
    return output, gradient, seed


def plain_pool(maps, rois, scale, bins, aligned, sampling_ratio):
    """Average bilinear samples in loops, differentiable."""
    height, width = maps.shape[2:]
    output = maps.new_zeros(len(rois), maps.shape[1], *bins)
    for number, (image, *corners) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (corner * scale - aligned * 0.5 for corner in corners)
        least = 0 if aligned else 1
        sizes = max(y2 - y1, least) / bins[0], max(x2 - x1, least) / bins[1]
        grid = [sampling_ratio or math.ceil(size) for size in sizes]
        for row in range(bins[0]):
            for column in range(bins[1]):
                samples = [
                    plain_sample(maps[int(image)],
                                 y1 + sizes[0] * (row + (i + 0.5) / grid[0]),
                                 x1 + sizes[1] * (column + (j + 0.5) / grid[1]), height, width)
                    for i in range(grid[0]) for j in range(grid[1])]
                if samples:
                    output[number, :, row, column] = sum(samples) / len(samples)
    return output


def plain_sample(features, y, x, height, width):
    if not (-1 <= y <= height and -1 <= x <= width):
        return torch.zeros(len(features), dtype=features.dtype)
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    dy, dx = y - top, x - left
    return ((1 - dy) * ((1 - dx) * features[:, top, left] + dx * features[:, top, right])
            + dy * ((1 - dx) * features[:, bottom, left] + dx * features[:, bottom, right]))


@pytest.mark.parametrize('case', CASES, ids=str)
def test_features_and_gradients_are_those_of_plain_loops(case):
    maps, rois, generator = draw(0, 8, 60, 0.5, dtype=torch.float64)
    output, gradient, seed = pool(ops, maps, rois, generator, 0.5, **case)
    maps.requires_grad_()
    expected = plain_pool(maps, rois, 0.5, **case)
    torch.testing.assert_close(output, expected.detach(), rtol=1e-9, atol=1e-9)
    wanted, = torch.autograd.grad(expected, maps, seed)
    torch.testing.assert_close(gradient, wanted, rtol=1e-9, atol=1e-9)


@needs_compiled
@pytest.mark.parametrize('case', CASES, ids=str)
def test_features_and_gradients_are_those_of_the_compiled_operator(case):
    for seed in range(9):
        scale = (1, 0.5, 0.25)[seed % 3]
        drawn = draw(seed, (40, 0, 1, 40)[seed % 4], (20, 80, 200)[seed // 3], scale, 64, 48, 5)
        state = drawn[2].get_state()
        found = pool(ops, *drawn, scale, **case)
        drawn[2].set_state(state)
        expected = pool(compiled, *drawn, scale, **case)
        torch.testing.assert_close(found[0], expected[0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(found[1], expected[1], rtol=1e-5, atol=1e-5)


def test_batches_make_no_difference(monkeypatch):
    """How many samples are taken at once is a matter of memory."""
    case = dict(scale=0.5, bins=(3, 3), aligned=True, sampling_ratio=0)
    results = []
    for batch in (ops.BATCH, 500, 1):
        monkeypatch.setattr(ops, 'BATCH', batch)
        results.append(pool(ops, *draw(1, 30, 60, 0.5), **case))
    for output, gradient, _ in results[1:]:
        assert torch.equal(output, results[0][0])
        torch.testing.assert_close(gradient, results[0][1], rtol=1e-5, atol=1e-5)


def test_channels_last_maps_give_the_same():
    maps, rois, generator = draw(2, 20, 60, 0.5)
    state = generator.get_state()
    case = dict(scale=0.5, bins=(3, 3), aligned=True, sampling_ratio=2)
    expected = pool(ops, maps, rois, generator, **case)
    generator.set_state(state)
    found = pool(ops, maps.to(memory_format=torch.channels_last), rois, generator, **case)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


def test_what_is_not_there_says_how_to_get_it():
    maps, rois, _ = draw(0, 2, 60, 0.5)
    unused = maps.new_zeros(0)
    for operator in (ops.roi_align_forward, ops.roi_align_backward):
        name = operator.__name__
        with pytest.raises(NotImplementedError, match=f'{name} .* max; to compile it: pip'):
            operator(maps, rois, unused, unused, unused, 2, 2, 1.0, 0, 0, True)
        with pytest.raises(RuntimeError, match=f'{name}: found torch.int64, expected torch.float'):
            operator(maps.long(), rois, unused, unused, unused, 2, 2, 1.0, 0, 1, True)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype, monkeypatch):
    """Of features, or of both as mmdet has it; batches of gradients are added up in float32."""
    monkeypatch.setattr(ops, 'BATCH', 500)
    case = dict(scale=0.5, bins=(3, 4), aligned=True, sampling_ratio=0)
    maps, rois, generator = draw(0, 30, 60, 0.5)
    for boxes in (rois, rois.to(dtype)):
        found, gradient, seed = pool(ops, maps.to(dtype), boxes, generator, **case)
        assert found.dtype == gradient.dtype == dtype
        expected = pool(ops, maps.to(dtype).float(), boxes.float(), None, **case,
                        seed=seed.float())
        assert torch.equal(found, expected[0].to(dtype))
        assert torch.equal(gradient, expected[1].to(dtype))
        assert gradient.any()


def test_a_roi_that_ends_before_it_begins_is_refused():
    maps, rois, generator = draw(0, 2, 60, 0.5)
    rois[0, 3] = rois[0, 1] - 1
    with pytest.raises(RuntimeError, match='a RoI that ends before it begins'):
        pool(ops, maps, rois, generator, 0.5, (2, 2), True, 2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('sampling_ratio', [0, 2])
def test_maps_on_a_gpu(sampling_ratio):
    maps, rois, generator = draw(0, 40, 60, 0.5, dtype=torch.float64)
    settings = dict(scale=0.5, bins=(3, 4), aligned=True, sampling_ratio=sampling_ratio)
    output, gradient, seed = pool(ops, maps, rois, generator, **settings)
    unused = maps.new_zeros(0).cuda()
    found, back = torch.zeros_like(output).cuda(), torch.zeros_like(maps).cuda()
    arguments = (unused, unused, 3, 4, 0.5, sampling_ratio, 1, True)
    ops.roi_align_forward(maps.cuda(), rois.cuda(), found, *arguments)
    ops.roi_align_backward(seed.cuda(), rois.cuda(), *arguments[:2], back, *arguments[2:])
    torch.testing.assert_close(found.cpu(), output)
    torch.testing.assert_close(back.cpu(), gradient)

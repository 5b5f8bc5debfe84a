"""RoIAlign as weighted sums of rows, against mmcv's."""
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

from mmsart.models import BagRoIExtractor
from mmsart.utils import UserError

CHANNELS = 5
STRIDES = [2, 4, 8]


def maps(generator, batch=2, height=64, width=96, dtype=torch.float64):
    return [torch.randn(batch, CHANNELS, height // stride, width // stride, generator=generator,
                        dtype=dtype).requires_grad_() for stride in STRIDES]


def random_rois(generator, count, batch=2):
    """Draw boxes of all sizes; some stick out of the image, some lie beyond it."""
    corner = torch.rand(count, 2, generator=generator, dtype=torch.float64) * 180 - 50
    side = torch.rand(count, 2, generator=generator, dtype=torch.float64) ** 3 * 120
    image = torch.randint(0, batch, (count, 1), generator=generator).double()
    return torch.cat([image, corner, corner + side], dim=1)


@given(seed=st.integers(0, 2**31 - 1), count=st.integers(0, 40),
       size=st.sampled_from([1, 7, (3, 5)]), ratio=st.integers(1, 3),
       finest_scale=st.sampled_from([14, 56]), scale=st.sampled_from([None, 1.5]))
def test_features_and_gradients_are_mmcvs(seed, count, size, ratio, finest_scale, scale):
    generator = torch.Generator().manual_seed(seed)
    layer = dict(type='RoIAlign', output_size=size, sampling_ratio=ratio)
    stock = SingleRoIExtractor(layer, CHANNELS, STRIDES, finest_scale)
    ours = BagRoIExtractor(layer, CHANNELS, STRIDES, finest_scale)
    feats, rois = maps(generator), random_rois(generator, count)
    expected, found = stock(feats, rois, scale), ours(feats, rois, scale)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    weights = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    for one, other in zip(torch.autograd.grad((found * weights).sum(), feats),
                          torch.autograd.grad((expected * weights).sum(), feats), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_channels_last_maps_give_the_same():
    generator = torch.Generator().manual_seed(0)
    ours = BagRoIExtractor(
        dict(type='RoIAlign', output_size=7, sampling_ratio=2), CHANNELS, STRIDES)
    feats, rois = maps(generator, dtype=torch.float32), random_rois(generator, 30).float()
    last = [feat.detach().to(memory_format=torch.channels_last) for feat in feats]
    assert torch.equal(ours(feats, rois), ours(last, rois))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_a_gpu_gives_what_a_cpu_gives(memory_format):
    generator = torch.Generator().manual_seed(0)
    ours = BagRoIExtractor(
        dict(type='RoIAlign', output_size=7, sampling_ratio=2), CHANNELS, STRIDES)
    rois = random_rois(generator, 50).float()
    feats = [feat.detach() for feat in maps(generator, dtype=torch.float32)]
    on_gpu = [feat.cuda().to(memory_format=memory_format) for feat in feats]
    torch.testing.assert_close(
        ours(on_gpu, rois.cuda()).cpu(), ours(feats, rois), rtol=0, atol=1e-4)


@pytest.mark.parametrize('layer', [
    dict(type='RoIAlign', output_size=7, sampling_ratio=0),
    dict(type='RoIAlign', output_size=7, sampling_ratio=2, aligned=False),
    dict(type='RoIAlign', output_size=7, sampling_ratio=2, pool_mode='max'),
    dict(type='RoIPool', output_size=7),
])
def test_refuses_other_poolings(layer):
    with pytest.raises(UserError, match='expected RoIAlign with sampling_ratio >= 1'):
        BagRoIExtractor(layer, CHANNELS, STRIDES)

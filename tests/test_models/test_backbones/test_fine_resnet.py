"""The finer ResNet: half the strides, the same weights."""
import pytest
import torch
from mmdet.models.backbones import ResNet

from mmsart.models import FineResNet


@pytest.mark.parametrize(('stem_stride', 'strides'), [(1, [2, 4, 8, 16]), (2, [4, 8, 16, 32])])
def test_strides_are_those_declared(stem_stride, strides):
    outs = FineResNet(stem_stride, depth=18, base_channels=8)(torch.zeros(1, 3, 64, 96))
    assert [tuple(out.shape[2:]) for out in outs] == [(64 // s, 96 // s) for s in strides]


def test_weights_are_mmdets():
    stock, fine = ResNet(depth=18, base_channels=8), FineResNet(2, depth=18, base_channels=8)
    fine.load_state_dict(stock.state_dict())
    image = torch.randn(1, 3, 64, 64)
    assert all(map(torch.equal, stock(image), fine(image)))

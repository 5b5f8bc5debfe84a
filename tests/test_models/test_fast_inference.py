"""Folded detectors against themselves, and what is kept from the mask head."""
import copy
from unittest import mock

import numpy as np
import pytest
import torch
from mmcv.cnn import ConvModule
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from torch import nn

from mmsart.models.fast_inference import fold_for_inference, skip_hopeless
from mmsart.postprocessing import PostProcessor, complete_config
from mmsart.structures.data_samples import to_detections
from tests.small_configs import small_config
from tests.test_models.tiny_mask_rcnn import batch, build, config

CLASSES = ('shsy5y', 'astro', 'cort')
RESNET = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, num_stages=4,
              out_indices=(0, 1, 2, 3), norm_eval=False, style='pytorch')
RESNET_CHANNELS = [8, 16, 32, 64]


class NormBeforeConv(nn.Module):
    """A backbone whose norms are declared behind the convolutions that they go before."""

    def __init__(self):
        super().__init__()
        for number, width in enumerate((8, 8, 8, 8)):
            self.add_module(f'conv{number}', nn.Conv2d(3 if not number else 8, width, 3, 2, 1))
            self.add_module(f'norm{number}', nn.BatchNorm2d(width))

    def forward(self, x):
        maps = []
        for number in range(4):
            x = getattr(self, f'conv{number}')(x)
            maps.append(x)
            x = getattr(self, f'norm{number}')(x).relu()
        return tuple(maps)


def with_backbone(backbone, channels, **neck):
    model = config(ours=True, norm_cfg=dict(type='BN'))
    model.backbone = backbone
    model.neck.update(in_channels=channels, **neck)
    torch.manual_seed(0)
    detector = MODELS.build(model)
    detector.init_weights()
    return with_statistics(detector)


def with_statistics(detector):
    generator = torch.Generator().manual_seed(1)
    for module in detector.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    return detector.eval()


def state(detector):
    return {name: value.clone() for name, value in detector.state_dict().items()}


def norms(detector):
    return sum(isinstance(module, nn.BatchNorm2d) for module in detector.modules())


@pytest.mark.parametrize(('backbone', 'channels', 'neck'), [
    (RESNET, RESNET_CHANNELS, dict(norm_cfg=dict(type='BN'))),
    (RESNET, RESNET_CHANNELS, {}),
    (dict(type='LiteMobileNetV2'), [24, 32, 96, 320], {}),
    (dict(type='EfficientNetLite', arch='lite2'), [24, 48, 120, 352], {})])
@torch.no_grad()
def test_the_same_features_and_masks_and_everything_comes_back(backbone, channels, neck):
    detector = with_backbone(backbone, channels, **neck)
    image, rois = torch.randn(1, 3, 64, 96), torch.randn(5, 8, 14, 14)
    features, masks, kept = detector.extract_feat(image), detector.roi_head.mask_head(rois), state(
        detector)
    assert norms(detector) > 5
    undo = fold_for_inference(detector)
    assert not norms(detector)
    for one, other in zip(features, detector.extract_feat(image), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
        # mmcv's RoIAlign, which this detector has, reads the usual order alone.
        assert other.is_contiguous()
    torch.testing.assert_close(masks, detector.roi_head.mask_head(rois), atol=1e-4, rtol=1e-4)
    undo()
    after = state(detector)
    assert kept.keys() == after.keys()
    for name, value in kept.items():
        assert torch.equal(value, after[name]), name
    for one, other in zip(features, detector.extract_feat(image), strict=True):
        assert torch.equal(one, other)
    assert not any('forward' in vars(module) for module in detector.modules())


needs_one_call = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, '_linear_pointwise'), reason='torch without oneDNN')


@needs_one_call
@pytest.mark.parametrize('size', [(64, 96), (61, 87), (33, 32)])
@torch.no_grad()
def test_convolutions_pad_as_they_did_whatever_the_size(size):
    detector = with_backbone(dict(type='EfficientNetLite', arch='lite2'), [24, 48, 120, 352])
    image = torch.randn(2, 3, *size)
    maps = detector.backbone(image)
    fold_for_inference(detector)
    with mock.patch.object(torch.nn.functional, 'conv2d', side_effect=AssertionError):
        folded = detector.backbone(image)
    for one, other in zip(maps, folded, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@needs_one_call
@pytest.mark.parametrize('capability', ['AVX2', 'AVX512'])
@pytest.mark.parametrize('rois', [0, 5, 40])
@torch.no_grad()
def test_masks_are_the_same_by_either_library(capability, rois):
    detector = with_backbone(RESNET, RESNET_CHANNELS)
    head, features = detector.roi_head.mask_head, torch.randn(rois, 8, 14, 14)
    masks = head(features)
    with mock.patch('torch.backends.cpu.get_cpu_capability', return_value=capability):
        fold_for_inference(detector)
    if rois:  # without any, the head's own layers answer
        head.upsample.forward = mock.Mock(side_effect=AssertionError)
    torch.testing.assert_close(masks, head(features), atol=1e-4, rtol=1e-4)


@needs_one_call
@torch.no_grad()
def test_box_heads_say_the_same():
    detector = with_backbone(RESNET, RESNET_CHANNELS)
    head, features = detector.roi_head.bbox_head, torch.randn(7, 8, 7, 7)
    before, nothing = head(features), head(features[:0])
    fold_for_inference(detector)
    with mock.patch.object(torch.nn.functional, 'linear', side_effect=AssertionError):
        after = head(features)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    for one, other in zip(nothing, head(features[:0]), strict=True):
        assert one.shape == other.shape


@needs_one_call
def test_gradients_flow_through_a_folded_detector():
    detector = with_backbone(RESNET, RESNET_CHANNELS)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        fold_for_inference(detector)
    sum(each.sum() for each in detector.extract_feat(image)).backward()
    assert detector.backbone.conv1.weight.grad.abs().sum() > 0


@torch.no_grad()
def test_layers_in_another_order_are_left_alone():
    if 'NormBeforeConv' not in MODELS:
        MODELS.register_module(module=NormBeforeConv)
    detector = with_backbone(dict(type='NormBeforeConv'), [8] * 4)
    image = torch.randn(1, 3, 64, 96)
    features = detector.extract_feat(image)
    fold_for_inference(detector)
    assert norms(detector.backbone) == 4
    assert not norms(detector.roi_head), 'ConvModules of the heads can be folded all the same'
    for one, other in zip(features, detector.extract_feat(image), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_heads_whose_levels_share_convolutions_but_not_their_norms():
    init_default_scope('mmdet')
    torch.manual_seed(0)
    detector = with_statistics(MODELS.build(small_config('sartorius/rtmdet_ins_s.py').model))
    levels = detector.bbox_head.cls_convs
    assert levels[0][0].conv is levels[1][0].conv
    assert levels[0][0].bn is not levels[1][0].bn
    image = torch.randn(1, 3, 64, 96)
    before, kept = detector.bbox_head(detector.extract_feat(image)), state(detector)
    undo = fold_for_inference(detector)
    assert not norms(detector)
    for one, other in zip(before, detector.bbox_head(detector.extract_feat(image)), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    undo()
    assert levels[0][0].conv is levels[1][0].conv
    after = state(detector)
    assert kept.keys() == after.keys()
    for name, value in kept.items():
        assert torch.equal(value, after[name]), name


@pytest.mark.parametrize('conv', [
    dict(type='deconv'),  # counts its channels the other way round
    dict(type='ConvAWS')])  # standardises its weights first
@torch.no_grad()
def test_convolutions_of_other_kinds_are_left_alone(conv):
    torch.manual_seed(0)
    detector = nn.Module()
    detector.layer = ConvModule(3, 3, 2, conv_cfg=conv, norm_cfg=dict(type='BN'))
    detector.extract_feat = lambda image: [detector.layer(image)]
    with_statistics(detector)
    image = torch.randn(1, 3, 16, 16)
    before, = detector.extract_feat(image)
    fold_for_inference(detector)
    torch.testing.assert_close(before, detector.extract_feat(image)[0], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_an_activation_behind_a_shared_convolution_is_that_of_its_owner():
    torch.manual_seed(0)
    detector = nn.Module()
    detector.one, detector.other = ConvModule(3, 3, 3, padding=1), ConvModule(
        3, 3, 3, padding=1, act_cfg=dict(type='ReLU6'))
    detector.other.conv = detector.one.conv
    detector.extract_feat = lambda image: [detector.one(image), detector.other(image)]
    detector.eval()
    image = 20 * torch.randn(1, 3, 16, 16)
    before = detector.extract_feat(image)
    assert before[0].max() > before[1].max() == 6
    undo = fold_for_inference(detector)
    for folded in (True, False):
        for one, other in zip(before, detector.extract_feat(image), strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-5)
        if folded:
            undo()
    assert not any('forward' in vars(module) for module in detector.modules())


@torch.no_grad()
def test_gradients_and_parameters_of_a_training_survive():
    detector = with_backbone(RESNET, RESNET_CHANNELS).train()
    parameters = list(detector.parameters())
    fold_for_inference(detector.eval())()
    assert all(one is other for one, other in zip(
        parameters, detector.parameters(), strict=True)), 'an optimizer would lose them'


@pytest.mark.parametrize('settings', [
    dict(score_thr=0.3), dict(score_thr=dict(shsy5y=0.3, astro=0.4, cort=0.35)),
    dict(score_thr=0.4, vote='relabel', vote_min_score=0.3),
    dict(score_thr=0.4, vote='relabel')])
@torch.no_grad()
def test_what_cannot_survive_gets_no_mask_and_the_cells_stay_the_same(settings):
    settings = complete_config(settings, CLASSES)
    detector = build(ours=True)
    nn.init.normal_(detector.roi_head.bbox_head.fc_cls.weight, std=1.5)
    detector.roi_head.test_cfg.update(score_by_mask_iou=True, max_per_img=100)
    data = batch(ours=True, rng=np.random.default_rng(0))
    detector.eval()
    process = PostProcessor(CLASSES, **settings)

    def find():
        samples = detector.test_step(copy.deepcopy(data))
        for number, sample in enumerate(samples):
            sample.set_metainfo(dict(img_id=str(number)))
        raw = [to_detections(sample) for sample in samples]
        return raw, [process(each) for each in raw]

    all_raw, all_cells = find()
    skip_hopeless(detector, settings)
    raw, cells = find()
    assert sum(map(len, cells)) > 3
    fewer = sum(map(len, raw)) < sum(map(len, all_raw))
    # A vote in which all detections have a say needs all of their masks.
    assert fewer == (settings['vote'] == 'off' or settings['vote_min_score'] > 0)
    for one, other in zip(cells, all_cells, strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_array_equal(one.masks.to_ndarray(), other.masks.to_ndarray())


@torch.no_grad()
def test_a_score_on_the_threshold_is_kept():
    detector = build(ours=True)
    skip_hopeless(detector, complete_config(dict(score_thr=0.35), CLASSES))
    assert torch.tensor(0.35) > detector.roi_head.test_cfg.score_thr
    assert not torch.tensor(np.nextafter(np.float32(0.35), np.float32(0))) \
        > detector.roi_head.test_cfg.score_thr

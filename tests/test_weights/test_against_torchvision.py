"""The same random weights and image, through torchvision and through our variants of its models."""
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch.nn import functional

import mmsart.models  # noqa: F401
from mmsart.weights import load_weights
from mmsart.weights.importer import import_content

detection = pytest.importorskip('torchvision.models.detection')
mask_rcnn = pytest.importorskip('torchvision.models.detection.mask_rcnn')

CONFIGS = Path(__file__).parents[2] / 'configs/_base_/models'
HEIGHT, WIDTH = 160, 224  # multiples of 32 but not of 64: torchvision's odd stride comes into play
CLASSES = 3
PROPOSALS = 200


def randomise(model):
    """Weights that give feature maps of ordinary size and scores that differ."""
    generator = torch.Generator().manual_seed(1)

    def normal(like, deviation):
        return torch.randn(like.shape, generator=generator) * deviation

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data = 1 + normal(module.weight, .1)
            module.bias.data = normal(module.bias, .1)
            module.running_mean = normal(module.running_mean, .1)
            module.running_var = 1 + normal(module.running_var, .1).abs()
            if name.endswith('bn3'):  # keeps the sum over the blocks from growing
                module.weight.data *= .3
        elif isinstance(module, torch.nn.Conv2d | torch.nn.Linear | torch.nn.ConvTranspose2d):
            fan_in = module.weight[0].numel()
            module.weight.data = normal(module.weight, fan_in ** -.5)
            if module.bias is not None:
                module.bias.data = normal(module.bias, .1)


@torch.no_grad()
def spread_scores(model, image):
    """Shift and stretch the class logits so that each class wins somewhere on the image."""
    layer, seen = model.roi_heads.box_predictor.cls_score, []
    hook = layer.register_forward_hook(lambda module, inputs, output: seen.append(output))
    model([image / 255])
    hook.remove()
    deviation, mean = torch.std_mean(seen[0], 0)
    layer.weight.mul_(2 / deviation[:, None])
    layer.bias.copy_((layer.bias - mean) * 2 / deviation)


def make_image():
    """Smooth random colours, uint8 values as float (3, h, w), RGB."""
    noise = torch.rand(1, 3, HEIGHT // 8, WIDTH // 8, generator=torch.Generator().manual_seed(0))
    return functional.interpolate(noise, (HEIGHT, WIDTH), mode='bilinear')[0].mul(255).round()


def make_theirs(version, hidden):
    options = dict(
        weights=None, weights_backbone=None, num_classes=CLASSES + 1, min_size=HEIGHT,
        max_size=WIDTH, box_score_thresh=.2, box_detections_per_img=50,
        rpn_post_nms_top_n_test=PROPOSALS)
    if version == 2:
        model = detection.maskrcnn_resnet50_fpn_v2(**options)
    else:
        model = detection.maskrcnn_resnet50_fpn(**options)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eps = 1e-30  # none, as in the frozen layers of pretrained weights
    model.roi_heads.mask_predictor = mask_rcnn.MaskRCNNPredictor(256, hidden, CLASSES + 1)
    randomise(model)
    return model.eval()


def make_ours(config, state_dict):
    init_default_scope('mmdet')
    cfg = Config.fromfile(CONFIGS / config).model
    cfg.test_cfg.rpn.update(nms_pre=1000, max_per_img=PROPOSALS)
    cfg.test_cfg.rcnn.update(score_thr=.2, max_per_img=50)
    model = MODELS.build(cfg)
    report = load_weights(model, import_content(state_dict, 'random weights'))
    assert (report.missing, report.unexpected, report.remade) == ([], [], [])
    return model.eval()


@torch.no_grad()
def run_theirs(model, image):
    logits = []
    hook = model.roi_heads.mask_predictor.register_forward_hook(
        lambda module, inputs, output: logits.append(output))
    found = model([image / 255])[0]
    hook.remove()
    labels = found['labels'] - 1
    probs = logits[0].sigmoid()[torch.arange(len(labels)), labels + 1]
    return found['boxes'], found['scores'], labels, probs, found['masks'][:, 0]


@torch.no_grad()
def run_ours(model, image):
    logits = []
    hook = model.roi_head.mask_head.conv_logits.register_forward_hook(
        lambda module, inputs, output: logits.append(output))
    sample = DetDataSample(metainfo=dict(
        img_shape=(HEIGHT, WIDTH), ori_shape=(HEIGHT, WIDTH), scale_factor=(1., 1.)))
    data = model.data_preprocessor(dict(inputs=[image.flip(0).byte()], data_samples=[sample]))
    found = model.predict(data['inputs'], data['data_samples'])[0].pred_instances
    hook.remove()
    probs = logits[0].sigmoid()[torch.arange(len(found)), found.labels]
    return found.bboxes, found.scores, found.labels, probs, found.masks


@pytest.mark.parametrize(('version', 'hidden', 'config'), [
    (1, 256, 'mask-rcnn_r50_fpn_torchvision.py'),
    (1, 128, '../../sartorius/maskrcnn_two_stage_report.py'),
    (2, 256, 'mask-rcnn_r50_fpn_v2_torchvision.py')])
def test_same_boxes_scores_and_masks(version, hidden, config):
    image = make_image()
    theirs = make_theirs(version, hidden)
    spread_scores(theirs, image)
    ours = make_ours(config, theirs.state_dict())
    expected, actual = run_theirs(theirs, image), run_ours(ours, image)
    assert len(expected[1]) >= 10, 'the comparison needs detections'
    assert set(expected[2].tolist()) == set(range(CLASSES))
    assert actual[2].tolist() == expected[2].tolist()
    torch.testing.assert_close(actual[0], expected[0], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(actual[1], expected[1], atol=1e-3, rtol=0)
    torch.testing.assert_close(actual[3], expected[3], atol=1e-3, rtol=0)

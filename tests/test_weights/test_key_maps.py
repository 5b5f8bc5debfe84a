"""Each format's names, all of them, against the networks of our config variants."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

import mmsart.models  # noqa: F401
from mmsart.weights import match_weights
from mmsart.weights.importer import import_content
from mmsart.weights.matching import model_shapes
from tests.test_weights import network_shapes as nets

CONFIGS = Path(__file__).parents[2] / 'configs/_base_/models'
CLASSES = 3
HEAD = 'roi_head.bbox_head.'


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmdet')


def shapes_of(config, classes=CLASSES, depth=None):
    model = Config.fromfile(CONFIGS / config).model
    model.roi_head.bbox_head.num_classes = model.roi_head.mask_head.num_classes = classes
    if depth:
        model.backbone.depth = depth
    return model_shapes(model)


FORMATS = {
    'v1': ('mask-rcnn_r50_fpn_torchvision.py', None, nets.torchvision_v1),
    'v1 of old names': ('mask-rcnn_r50_fpn_torchvision.py', None,
                        lambda classes: nets.torchvision_v1(classes, old_names=True)),
    'v1 of the report': ('../../sartorius/maskrcnn_two_stage_report.py', None,
                         lambda classes: nets.torchvision_v1(classes, hidden=128)),
    'v2': ('mask-rcnn_r50_fpn_v2_torchvision.py', None, nets.torchvision_v2),
    'R50': ('mask-rcnn_r50_fpn_detectron2.py', None,
            lambda classes: nets.detectron2(50, classes=classes - 1)),
    'R101': ('mask-rcnn_r50_fpn_detectron2.py', 101,
             lambda classes: nets.detectron2(101, classes=classes - 1)),
    'X101': ('mask-rcnn_x101_fpn_detectron2.py', None,
             lambda classes: nets.detectron2(101, 32, 8, classes - 1))}
SOURCES = {
    'v1': 'torchvision maskrcnn_resnet50_fpn',
    'v1 of old names': 'torchvision maskrcnn_resnet50_fpn',
    'v1 of the report': 'torchvision maskrcnn_resnet50_fpn',
    'v2': 'torchvision maskrcnn_resnet50_fpn_v2', 'R50': 'Detectron2', 'R101': 'Detectron2',
    'X101': 'Detectron2'}


@pytest.mark.parametrize('kind', FORMATS)
def test_every_weight_finds_its_place(kind):
    config, depth, source_shapes = FORMATS[kind]
    with torch.device('meta'):
        source = {name: torch.empty(shape) for name, shape in source_shapes(CLASSES + 1).items()}
    imported = import_content(source, kind)
    assert imported.source == SOURCES[kind]
    shapes = shapes_of(config, depth=depth)
    fitting, report = match_weights(shapes, imported)
    assert (report.missing, report.unexpected, report.remade) == ([], [], [])
    assert {name for name in shapes if 'num_batches' not in name} <= set(fitting)


@pytest.mark.parametrize('kind', FORMATS)
def test_class_layers_of_coco_are_made_anew_and_only_those(kind):
    config, depth, source_shapes = FORMATS[kind]
    with torch.device('meta'):
        source = {name: torch.empty(shape) for name, shape in source_shapes(91).items()}
    _, report = match_weights(shapes_of(config, depth=depth), import_content(source, kind))
    assert sorted(name for name, *_ in report.remade) == sorted(
        f'roi_head.{layer}.{leaf}' for leaf in ('weight', 'bias')
        for layer in ('bbox_head.fc_cls', 'bbox_head.fc_reg', 'mask_head.conv_logits'))
    assert (report.missing, report.unexpected) == ([], [])


@pytest.mark.parametrize('kind', ['v1', 'v2'])
def test_torchvision_background_moves_to_the_end(kind):
    source = nets.filled(FORMATS[kind][2](CLASSES + 1))
    ours = import_content(source, kind).state_dict
    predictor = 'roi_heads.box_predictor.'
    for leaf in ('weight', 'bias'):
        theirs = source[f'{predictor}cls_score.{leaf}']
        assert torch.equal(ours[f'{HEAD}fc_cls.{leaf}'], theirs[[1, 2, 3, 0]])
        assert torch.equal(
            ours[f'{HEAD}fc_reg.{leaf}'], source[f'{predictor}bbox_pred.{leaf}'][4:])
        assert torch.equal(ours[f'roi_head.mask_head.conv_logits.{leaf}'],
                           source[f'roi_heads.mask_predictor.mask_fcn_logits.{leaf}'][1:])


def test_detectron2_and_mmdet_share_the_class_order():
    source = nets.filled(nets.detectron2(classes=CLASSES))
    ours = import_content({'model': {name: value.numpy() for name, value in source.items()}},
                          'arrays').state_dict
    assert torch.equal(ours[f'{HEAD}fc_cls.weight'],
                       source['roi_heads.box_predictor.cls_score.weight'])
    assert torch.equal(ours['neck.fpn_convs.3.conv.bias'], source['backbone.fpn_output5.bias'])
    assert torch.equal(ours['backbone.layer4.0.downsample.1.running_var'],
                       source['backbone.bottom_up.res5.0.shortcut.norm.running_var'])


@pytest.mark.parametrize('wrapping', ['bare', 'state_dict', 'module'])
def test_mmdet_of_version_2_and_3_is_taken_as_it_is(wrapping):
    shapes = shapes_of('mask-rcnn_r50_fpn.py')
    source = nets.filled(shapes)
    content = {'bare': source, 'state_dict': {'meta': {}, 'state_dict': source},
               'module': {f'module.{name}': value for name, value in source.items()}}[wrapping]
    fitting, report = match_weights(shapes, import_content(content, wrapping))
    assert (report.missing, report.unexpected, report.remade) == ([], [], [])
    assert all(torch.equal(fitting[name], value) for name, value in source.items())


def test_mmdet_of_version_1_gets_its_heads_moved_and_its_background_last():
    shapes = shapes_of('mask-rcnn_r50_fpn.py')
    source = nets.filled(nets.mmdet_v1(shapes, CLASSES))
    fitting, report = match_weights(shapes, import_content(source, 'mmdet 1'))
    assert (report.missing, report.unexpected, report.remade) == ([], [], [])
    assert torch.equal(fitting[f'{HEAD}fc_cls.bias'], source['bbox_head.fc_cls.bias'][[1, 2, 3, 0]])
    assert torch.equal(fitting[f'{HEAD}fc_reg.bias'], source['bbox_head.fc_reg.bias'][4:])


def test_imagenet_resnet_goes_to_the_backbone():
    shapes = shapes_of('mask-rcnn_r50_fpn.py')
    source = nets.filled({**nets.torchvision_resnet(counter=True),
                          **nets.layer_shapes('fc', 1000, 2048)})
    fitting, report = match_weights(shapes, import_content(source, 'resnet50'))
    assert report.unexpected == ['fc.weight', 'fc.bias']
    assert not report.remade
    assert all(not name.startswith('backbone.') for name in report.missing)
    assert torch.equal(fitting['backbone.conv1.weight'], source['conv1.weight'])


@pytest.mark.parametrize(('nested', 'expected'), [
    ({'0.0': 'depthwise_conv.conv', '0.1': 'depthwise_conv.bn', '1': 'linear_conv.conv',
      '2': 'linear_conv.bn'}, 'layer1.0'),
    ({'0.0': 'expand_conv.conv', '0.1': 'expand_conv.bn', '1.0': 'depthwise_conv.conv',
      '1.1': 'depthwise_conv.bn', '2': 'linear_conv.conv', '3': 'linear_conv.bn'}, 'layer2.0')])
def test_torchvision_nests_the_blocks_of_mobilenet(nested, expected):
    block = 1 if expected == 'layer1.0' else 2
    marks = ('features.18.0.weight', 'features.1.conv.0.0.weight')
    source = {name: torch.zeros(1) for name in marks}
    source |= {f'features.{block}.conv.{name}.weight': torch.zeros(1) for name in nested}
    names = set(import_content(source, 'mobilenet_v2').state_dict)
    assert {f'{expected}.{name}.weight' for name in nested.values()} <= names


@pytest.mark.parametrize('version', [1, 2])
def test_shapes_written_out_here_are_torchvisions(version):
    detection = pytest.importorskip('torchvision.models.detection')
    factory = getattr(
        detection, 'maskrcnn_resnet50_fpn' + ('_v2' if version == 2 else ''))
    with torch.device('meta'):
        theirs = factory(weights=None, weights_backbone=None).state_dict()
    ours = nets.torchvision_v2() if version == 2 else nets.torchvision_v1(counter=True)
    assert {name: tuple(value.shape) for name, value in theirs.items()} == ours


def test_networks_have_as_many_parameters_as_published():
    """torchvision's model pages count 44401393 (frozen norms left out) and 46359409."""
    def parameters(shapes):
        return sum(torch.Size(shape).numel() for name, shape in shapes.items()
                   if 'running' not in name and 'num_batches' not in name)

    frozen = sum(parameters({name: shape}) for name, shape in nets.torchvision_v1().items()
                 if 'bn' in name or 'downsample.1' in name)
    assert parameters(nets.torchvision_v1()) - frozen == 44401393
    assert parameters(nets.torchvision_v2()) == 46359409

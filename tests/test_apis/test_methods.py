from dataclasses import replace

import torch
from torch import nn

from mmsart import __version__
from mmsart.apis.methods import describe_model
from mmsart.apis.models import find_source
from mmsart.models.detectors.mask_tta import View


class Detector(nn.Linear):
    def __init__(self, **attributes):
        super().__init__(1, 1)
        for name, value in attributes.items():
            setattr(self, name, value)


def views(**attributes):
    described = describe_model(find_source(), Detector(**attributes), torch.device('cpu'), 1)
    return described['inference']['views']


def test_a_model_of_the_package_is_told_with_its_facts():
    source = find_source().adapted(tile_size=640, tile_overlap=64)
    found = describe_model(source, Detector().half(), torch.device('cpu'), 4)
    assert found['mmsart'] == __version__
    assert found['model']['name'] == source.name
    assert found['model']['config'] == f'zoo://{source.name}/config.py'
    assert found['model']['weights'] == f'zoo://{source.name}/weights.safetensors'
    assert found['model']['weights_sha256'] == source.facts['sha256']
    for fact in ('score', 'score_source', 'count_error'):
        assert found['model'][fact] == source.facts[fact]
    older = replace(source, facts=dict(score=source.facts['score']))
    model = describe_model(older, Detector(), torch.device('cpu'), 1)['model']
    assert ('score' in model, 'score_source' in model) == (True, False)
    assert found['model']['classes'] == list(source.classes)
    assert found['inference'] == dict(
        views=[dict(flip='')], device='cpu', precision='float16', batch_size=4,
        torch=torch.__version__,
        tiles=dict(largest_px=[640, 640], size_px=[640, 640], overlap_px=64))
    assert found['postprocessing'] == dict(source=source.name)


def test_the_options_of_a_config_are_told():
    source = replace(find_source(), cfg_options=('a=1', 'b=2'), config='my.py', facts={})
    model = describe_model(source, Detector(), torch.device('cpu'), 1)['model']
    assert (model['config'], model['cfg_options']) == ('my.py', ['a=1', 'b=2'])
    assert 'score' not in model


def test_every_look_at_an_image_is_told():
    assert views() == [dict(flip='')]
    assert views(flip_directions=('horizontal', 'vertical')) == [
        dict(flip=''), dict(flip='horizontal'), dict(flip='vertical')]
    assert views(views=[View(), View('horizontal', 1, 1.5)]) == [
        dict(flip='', turns=0, scale=1.0, weight=1.0),
        dict(flip='horizontal', turns=1, scale=1.5, weight=1.0)]
    members = nn.ModuleList([Detector(flip_directions=('vertical',)), Detector(),
                             Detector(flip_directions=('vertical', 'diagonal'))])
    assert views(members=members) == [dict(flip=''), dict(flip='vertical'), dict(flip='diagonal')]

"""State dicts in the wrappings and under the prefixes that programs save them with."""
import argparse
import collections
import datetime
import pathlib
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from mmengine.runner import CheckpointLoader

from mmsart.utils import UserError
from mmsart.weights import import_checkpoint, read_checkpoint
from mmsart.weights.importer import import_content

# One name of each format, with what it is called here.
FORMATS = {
    'torchvision maskrcnn_resnet50_fpn': (
        {'roi_heads.box_head.fc6.weight': 'roi_head.bbox_head.shared_fcs.0.weight',
         'backbone.body.layer1.0.conv1.weight': 'backbone.layer1.0.conv1.weight'}),
    'Detectron2': (
        {'backbone.bottom_up.stem.conv1.weight': 'backbone.conv1.weight'}),
    'mmdet 1.x': (
        {'bbox_head.fc_cls.weight': 'roi_head.bbox_head.fc_cls.weight',
         'backbone.conv1.weight': 'backbone.conv1.weight'}),
    'mmdet': (
        {'roi_head.bbox_head.fc_cls.weight': 'roi_head.bbox_head.fc_cls.weight',
         'backbone.layer1.0.conv1.weight': 'backbone.layer1.0.conv1.weight'}),
    'ImageNet ResNet': (
        {'layer1.0.conv1.weight': 'layer1.0.conv1.weight', 'conv1.weight': 'conv1.weight'})}
OPTIMIZER = {'state': {0: {'exp_avg': torch.zeros(3)}}, 'param_groups': [{'lr': .1}]}
WRAPPINGS = {
    'bare': lambda weights: weights,
    'model_state_dict': lambda weights: dict(
        epoch=3, model_state_dict=weights, optimizer_state_dict=OPTIMIZER),
    "torchvision's references": lambda weights: dict(
        model=weights, optimizer=OPTIMIZER, args=argparse.Namespace(lr=.02), epoch=25,
        model_ema={'n_averaged': torch.tensor(3)}),
    'Lightning': lambda weights: {
        'state_dict': weights, 'pytorch-lightning_version': '1.5.0', 'best': torch.tensor(.5)},
    'two levels': lambda weights: dict(model=dict(state_dict=weights, arch='maskrcnn')),
    'a name beside the weights': lambda weights: dict(
        model='maskrcnn', state_dict=weights, net=dict(type='MaskRCNN')),
    'a name of its own': lambda weights: dict(
        cells=weights, optimizer=OPTIMIZER, history={'loss': [1., 2.]})}
PREFIXES = ['', 'module.', 'model.', 'net.', '_orig_mod.', 'model._orig_mod.', '_orig_mod.module.',
            'module.model.', 'model.net.', 'mask_rcnn.', '_fsdp_wrapped_module.']


def weights_of(kind, prefix=''):
    return {prefix + name: torch.full((4, 2), float(number))
            for number, name in enumerate(FORMATS[kind])}


@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize('wrapping', WRAPPINGS)
@pytest.mark.parametrize('prefix', PREFIXES)
def test_weights_are_found_in_any_wrapping_under_any_prefix(kind, wrapping, prefix):
    imported = import_content(WRAPPINGS[wrapping](weights_of(kind, prefix)), 'a file')
    assert imported.source == kind
    assert sorted(imported.state_dict) == sorted(FORMATS[kind].values())
    assert imported.ignored == []


def test_modules_compiled_or_wrapped_inside_a_model_are_found():
    source = {'backbone._orig_mod.layer1._checkpoint_wrapped_module.0.conv1.weight': torch.ones(1)}
    assert list(import_content(source, 'a file').state_dict) == ['backbone.layer1.0.conv1.weight']


@pytest.mark.parametrize('kind', ['torchvision maskrcnn_resnet50_fpn', 'mmdet'])
def test_what_else_a_program_saves_is_named_and_left(kind):
    source = {**weights_of(kind, 'model.'), 'criterion.weight': torch.ones(1),
              **weights_of(kind, 'ema_model.')}
    imported = import_content({'state_dict': source}, 'a file')
    assert imported.state_dict.keys() == set(FORMATS[kind].values())
    assert set(imported.ignored) == set(source) - set(weights_of(kind, 'model.'))


def test_a_teacher_and_its_student_keep_their_names():
    source = {**weights_of('mmdet', 'teacher.'), **weights_of('mmdet', 'student.')}
    assert import_content(source, 'a file').state_dict.keys() == source.keys()


@pytest.mark.parametrize('kind', ['torchvision maskrcnn_resnet50_fpn', 'mmdet'])
def test_nothing_is_taken_off_the_names_of_an_own_checkpoint(kind, tmp_path):
    """A detector that keeps its network under a name must find its weights when it resumes."""
    path = tmp_path / 'epoch_1.pth'
    weights = weights_of(kind, 'model.')
    torch.save(dict(state_dict=weights, meta=dict(mmengine_version='0.10.12'), optimizer=OPTIMIZER),
               path)
    read = CheckpointLoader.load_checkpoint(str(path), 'cpu')
    assert read['state_dict'].keys() == weights.keys()
    assert 'optimizer' in read


@pytest.mark.parametrize('kind', FORMATS)
def test_mmengine_loads_them_too(kind, tmp_path):
    path = tmp_path / 'last.ckpt'
    torch.save(WRAPPINGS['Lightning'](weights_of(kind, 'model.')), path)
    read = CheckpointLoader.load_checkpoint(str(path), 'cpu')
    assert read['state_dict'].keys() == set(FORMATS[kind].values())


@pytest.fixture
def absent_library():
    """Return classes of a library that is there while a file is written and not when it is read."""
    module = types.ModuleType('pytorch_lightning.utilities')

    class AttributeDict(dict):
        def __reduce_ex__(self, protocol):  # attributes and items, as settings of libraries have
            return type(self), (), {'_name': 'x'}, None, iter(self.items())

    class ModelCheckpoint:
        pass

    for cls in (AttributeDict, ModelCheckpoint):
        cls.__module__, cls.__qualname__ = module.__name__, cls.__name__
        setattr(module, cls.__name__, cls)
    sys.modules.update({'pytorch_lightning': types.ModuleType('pytorch_lightning'),
                        module.__name__: module})
    yield module
    for name in ('pytorch_lightning', module.__name__):
        sys.modules.pop(name, None)


def write_plain_pickle(content, path):
    """Write weights as NumPy arrays, as Detectron2's model zoo does."""
    content = {**content, 'callbacks': None, 'state_dict': {
        name: weight.numpy() for name, weight in content['state_dict'].items()}}
    path.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize(('name', 'write'), [
    ('file.pth', torch.save), ('file.pkl', torch.save), ('file.pkl', write_plain_pickle)])
def test_settings_beside_weights_are_read_without_their_classes(
        name, write, tmp_path, absent_library):
    counts = collections.defaultdict(list, a=[1])
    namespace = argparse.Namespace(
        lr=.02, out=pathlib.PosixPath('runs/a'), inner=argparse.Namespace(gpus=[0]))
    settings = absent_library.AttributeDict(lr=.1, out=namespace.out, since=datetime.datetime.now())
    content = dict(state_dict=weights_of('mmdet', 'model.'), args=namespace, counts=counts,
                   hyper_parameters=settings, where=types.SimpleNamespace(node=3),
                   callbacks={absent_library.ModelCheckpoint: {'best': torch.tensor(1.)}})
    path = tmp_path / name
    write(content, path)
    for name in [name for name in sys.modules if name.startswith('pytorch_lightning')]:
        del sys.modules[name]
    read = read_checkpoint(path)
    assert (read['args'].lr, read['args'].inner.gpus) == (.02, [0])
    assert str(read['args'].out) == 'runs/a'
    assert import_checkpoint(path).state_dict.keys() == set(FORMATS['mmdet'].values())
    assert not any(name.startswith('pytorch_lightning') for name in sys.modules)


def test_namespace_of_the_format_before_torch_1_6(tmp_path):
    torch.save(dict(model=weights_of('mmdet'), args=argparse.Namespace(lr=.02)),
               tmp_path / 'old.pth', _use_new_zipfile_serialization=False)
    assert import_checkpoint(tmp_path / 'old.pth').state_dict.keys() == set(
        FORMATS['mmdet'].values())


@pytest.mark.parametrize('content', [
    {}, dict(model='maskrcnn'), dict(model=dict(type='MaskRCNN')), dict(optimizer=OPTIMIZER)])
def test_a_file_without_weights_is_named(content):
    with pytest.raises(UserError, match='a file: expected weights, found a dictionary without'):
        import_content(content, 'a file')


def test_a_dictionary_that_holds_itself_ends_the_search():
    content = {}
    content['model'] = content
    with pytest.raises(UserError, match='without any tensor'):
        import_content(content, 'a file')


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_of_a_training_that_diverged_are_refused(value):
    weights = weights_of('mmdet')
    weights['roi_head.bbox_head.fc_cls.weight'][1, 0] = value
    with pytest.raises(UserError, match=r'a file: roi_head.bbox_head.fc_cls.weight: found 1 of 8 '
                                        'values that are not finite'):
        import_content(dict(state_dict=weights), 'a file')


def test_numbers_and_byte_orders_of_numpy():
    weights = {name: value.numpy().astype('>f4') for name, value in weights_of('mmdet').items()}
    weights['backbone.bn1.num_batches_tracked'] = np.array(3)
    found = import_content(dict(state_dict=weights), 'a file').state_dict
    assert found.pop('backbone.bn1.num_batches_tracked').shape == ()
    for name, value in weights_of('mmdet').items():
        torch.testing.assert_close(found[name], value)

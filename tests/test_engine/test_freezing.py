"""Freezing of mmdet's own ResNet, which has ideas of its own about that."""
import copy

import pytest
import torch
from mmdet.models.backbones import ResNet
from torch import nn

from mmsart.engine.runner.freezing import describe_trainable, set_trainable
from mmsart.engine.runner.stages import Stage
from mmsart.utils import UserError


def stage(**changes):
    return Stage.from_cfg(dict(name='s', max_epochs=1, optim_wrapper={}, **changes), 'stages[0]')


def detector(**changes):
    return nn.ModuleDict(dict(
        backbone=ResNet(18, base_channels=4, **changes),
        head=nn.Sequential(nn.Conv2d(32, 2, 1), nn.BatchNorm2d(2, affine=False))))


def forward(model):
    return model['head'](model['backbone'](torch.rand(2, 3, 64, 64))[-1])


@pytest.mark.parametrize('norm_eval', [False, True])
def test_frozen_statistics_stay_through_train(norm_eval):
    model = detector(frozen_stages=-1, norm_eval=norm_eval)
    set_trainable(model, stage(trainable=['head']))
    before = copy.deepcopy(model.state_dict())
    model.train()
    forward(model)
    changed = [name for name, value in model.state_dict().items()
               if not torch.equal(value, before[name])]
    # Two channels without weights: a layer goes by the name that its weight would have.
    assert changed == ['head.1.running_mean', 'head.1.running_var', 'head.1.num_batches_tracked']
    set_trainable(model, stage())
    model.train()
    assert all(module.training != norm_eval for module in model['backbone'].modules()
               if isinstance(module, nn.BatchNorm2d))


def test_frozen_stages_of_the_model_give_way():
    model = detector(frozen_stages=1, norm_eval=False)
    set_trainable(model, stage(trainable=['head']))
    assert model['backbone'].frozen_stages == 1
    assert set_trainable(model, stage()) == [name for name, _ in model.named_parameters()]
    model.train()
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(module.training for module in model.modules())


def test_norms_fixed_by_the_architecture_never_learn():
    model = detector(frozen_stages=-1, norm_eval=False,
                     norm_cfg=dict(type='BN', requires_grad=False))
    learning = set_trainable(model, stage())
    norms = {f'backbone.{name}' for name, module in model['backbone'].named_modules()
             if isinstance(module, nn.BatchNorm2d)}
    assert len(norms) == 20
    names = [name for name, _ in model.named_parameters()]
    assert learning == [name for name in names if name.rsplit('.', 1)[0] not in norms]
    model.train()
    assert not any(module.training for module in model['backbone'].modules()
                   if isinstance(module, nn.BatchNorm2d))


def test_patterns_name_beginnings_and_exceptions():
    model = detector()
    assert set_trainable(model, stage(
        trainable=[r'backbone\.(conv1|layer4)', 'head'], frozen=[r'.*\.bn\d', r'.*downsample'],
    )) == ['backbone.conv1.weight', 'backbone.layer4.0.conv1.weight',
           'backbone.layer4.0.conv2.weight', 'backbone.layer4.1.conv1.weight',
           'backbone.layer4.1.conv2.weight', 'head.0.weight', 'head.0.bias']
    with pytest.raises(UserError, match="'bone' matches no parameter"):
        set_trainable(model, stage(trainable=['bone']))


def test_gradients_of_what_freezes_are_dropped():
    model = detector(frozen_stages=-1, norm_eval=False)
    set_trainable(model, stage())
    forward(model).square().sum().backward()
    set_trainable(model, stage(trainable=['head']))
    assert all(parameter.grad is None for parameter in model['backbone'].parameters())


def test_a_model_that_freezes_itself_is_reported():
    class Stubborn(nn.Linear):
        def train(self, mode=True):
            self.bias.requires_grad_(False)
            return super().train(mode)

    with pytest.raises(UserError, match=r'requires_grad=False on part\.bias'):
        set_trainable(nn.ModuleDict(dict(part=Stubborn(1, 1))), stage())


def test_description_counts_by_module():
    model = nn.ModuleDict(dict(backbone=nn.ModuleDict(dict(
        conv=nn.Conv2d(1, 2, 3), bn=nn.BatchNorm2d(2))), head=nn.Linear(2, 3)))
    set_trainable(model, stage(trainable=['head']))
    assert describe_trainable(model, stage(trainable=['head'])) == (
        'stage s: 2 of 6 tensors learn (9 of 33 values): head 2 (9); frozen: '
        'backbone.conv 2 (20), backbone.bn 2 (4); 1 of 1 running statistics held')

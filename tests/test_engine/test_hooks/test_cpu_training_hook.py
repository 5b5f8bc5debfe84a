"""bfloat16 and channels_last for training on a CPU."""
import copy
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS

from mmsart.engine.hooks import CpuTrainingHook, cpu_training_hook
from mmsart.utils import UserError
from tests.test_models.tiny_mask_rcnn import batch, build


@pytest.fixture
def model():
    detector = build(ours=True)
    for name in ('bbox_roi_extractor', 'mask_roi_extractor'):
        stock = getattr(detector.roi_head, name)
        size = 7 if name == 'bbox_roi_extractor' else 14
        setattr(detector.roi_head, name, MODELS.build(dict(
            type='BagRoIExtractor', out_channels=8, featmap_strides=stock.featmap_strides,
            roi_layer=dict(type='RoIAlign', output_size=size, sampling_ratio=2))))
    return detector


@pytest.fixture
def with_bfloat16(monkeypatch):
    """Compute in bfloat16 on every CPU; without the instructions it is only slow."""
    monkeypatch.setattr(cpu_training_hook, 'has_bfloat16_instructions', lambda: True)


def runner_of(model):
    return SimpleNamespace(model=model, logger=logging.getLogger('test'))


def losses(model, seed=0):
    torch.manual_seed(seed)
    data = model.data_preprocessor(batch(True, np.random.default_rng(seed)), True)
    return model.parse_losses(model(**data, mode='loss'))[0]


def predictions(model):
    data = model.data_preprocessor(batch(True, np.random.default_rng(1)), False)
    with torch.no_grad():
        return [sample.pred_instances for sample in model(**data, mode='predict')]


def part_outputs(model):
    """Record the types that the parts compute in and give on."""
    seen = {}
    for name in ('backbone.layer1.0.conv1', 'backbone', 'rpn_head', 'roi_head.mask_head'):
        def note(module, args, output, name=name):
            while not isinstance(output, torch.Tensor):
                output = output[0]
            seen[name] = output.dtype
        model.get_submodule(name).register_forward_hook(note)
    return seen


def test_trains_close_to_float32_with_float32_weights_and_gradients(model, with_bfloat16):
    plain = copy.deepcopy(model).train()
    model.train()
    CpuTrainingHook().before_train(runner_of(model))
    seen = part_outputs(model)
    expected, found = losses(plain), losses(model)
    assert seen.pop('backbone.layer1.0.conv1') == torch.bfloat16
    assert set(seen.values()) == {torch.float32}
    assert float(found) != float(expected)
    assert float(found) == pytest.approx(float(expected), rel=0.03)
    found.backward()
    expected.backward()
    ours, stock = (torch.cat([p.grad.flatten() for p in net.parameters()])
                   for net in (model, plain))
    assert ours.dtype == torch.float32
    assert torch.cosine_similarity(ours, stock, dim=0) > 0.98


def test_a_validation_predicts_to_the_bit_what_it_does_without_the_hook(model, with_bfloat16):
    before = predictions(model.eval())
    hook, runner = CpuTrainingHook(), runner_of(model.train())
    hook.before_train(runner)
    weight = model.backbone.conv1.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    hook.before_val_epoch(runner)
    assert weight.is_contiguous()
    for found, expected in zip(predictions(model.eval()), before, strict=True):
        assert len(expected) > 0
        assert torch.equal(found.scores, expected.scores)
    hook.after_val_epoch(runner)
    assert weight.is_contiguous(memory_format=torch.channels_last)
    hook.after_train(runner)
    assert weight.is_contiguous()


def test_channels_last_alone_changes_rounding_only(model, with_bfloat16):
    plain = copy.deepcopy(model).train()
    model.train()
    CpuTrainingHook(bfloat16=False).before_train(runner_of(model))
    assert model.backbone.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert float(losses(model)) == pytest.approx(float(losses(plain)), rel=1e-4)


@pytest.mark.parametrize(('conv', 'unsafe'), [
    (dict(in_channels=7), True), (dict(in_channels=3, out_channels=64), True),
    (dict(in_channels=4, stride=(1, 2)), True), (dict(in_channels=4, stride=3), True),
    (dict(in_channels=8), False), (dict(in_channels=4, stride=1), False),
    (dict(in_channels=3, kernel_size=7), False), (dict(in_channels=4, groups=4), False)])
def test_finds_convolutions_that_channels_last_would_break(conv, unsafe):
    model = torch.nn.Sequential(torch.nn.Conv2d(
        **{'out_channels': 16, 'kernel_size': 1, 'stride': 2, **conv}))
    assert cpu_training_hook.find_unsafe_conv(model) == ('0' if unsafe else None)


def test_a_model_with_such_a_convolution_trains_in_the_usual_order(model, caplog):
    model.backbone.layer2[0].downsample[0] = torch.nn.Conv2d(4, 16, 1, stride=2)
    with caplog.at_level(logging.INFO):
        CpuTrainingHook().before_train(runner_of(model))
    assert model.backbone.conv1.weight.is_contiguous()
    assert 'channels last is off: backbone.layer2.0.downsample.0 is a 1 x 1' in caplog.text
    assert ', channels last in' not in caplog.text


def test_float32_where_the_cpu_has_no_bfloat16(model, monkeypatch):
    monkeypatch.setattr(cpu_training_hook, 'has_bfloat16_instructions', lambda: False)
    seen = part_outputs(model.train())
    CpuTrainingHook().before_train(runner_of(model))
    losses(model)
    assert set(seen.values()) == {torch.float32}


@pytest.mark.parametrize(('native', 'tiles', 'allowed', 'expected'), [
    (True, False, True, True), (False, True, True, True),
    (True, True, False, False),  # held to fewer instructions, by ONEDNN_MAX_CPU_ISA
    (False, False, True, False)])  # oneDNN's bfloat16 without instructions of its own is slow
def test_which_processors_have_bfloat16(native, tiles, allowed, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, '_is_avx512_bf16_supported', lambda: native)
    monkeypatch.setattr(torch.cpu, '_is_amx_tile_supported', lambda: tiles)
    monkeypatch.setattr(torch.ops.mkldnn, '_is_mkldnn_bf16_supported', lambda: allowed)
    assert cpu_training_hook.has_bfloat16_instructions() is expected


def test_an_error_inside_a_part_leaves_autocast_off(model, with_bfloat16, monkeypatch):
    model.train()
    CpuTrainingHook().before_train(runner_of(model))

    def fail(x):
        assert torch.is_autocast_enabled('cpu')
        raise RuntimeError('inside')

    monkeypatch.setattr(model.neck, 'forward', fail)
    with pytest.raises(RuntimeError, match='inside'):
        losses(model)
    assert not torch.is_autocast_enabled('cpu')


def test_ends_with_the_training_and_lets_the_model_be_copied(model, with_bfloat16):
    model.train()
    hook = CpuTrainingHook()
    hook.before_train(runner_of(model))
    average = copy.deepcopy(model)  # as EMA does
    assert float(losses(average)) == float(losses(model))
    hook.after_train(runner_of(model))
    seen = part_outputs(model)
    losses(model)
    assert set(seen.values()) == {torch.float32}


def test_refuses_mmcvs_roi_align_with_channels_last(with_bfloat16):
    runner = runner_of(build(ours=True))
    with pytest.raises(UserError, match='bbox_roi_extractor is a SingleRoIExtractor'):
        CpuTrainingHook().before_train(runner)
    CpuTrainingHook(channels_last=False).before_train(runner)


def test_refuses_unknown_parts(model):
    with pytest.raises(UserError, match="parts has 'nek'"):
        CpuTrainingHook(parts=('nek',)).before_train(runner_of(model))

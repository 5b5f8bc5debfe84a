"""The models of the configs give the same tensors with either kind of operators."""
import sys
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config

import mmsart.registration  # noqa: F401
from mmsart.ops import stand_in
from tests.test_ops.compiled import needs_compiled

CONFIGS = Path(__file__).parents[2] / 'configs'
SIZE = (96, 128)


def predict(detector):
    """Detect in noise, where the boxes of an untrained network overlap in every way."""
    generator = torch.Generator().manual_seed(0)
    sample = DetDataSample(metainfo=dict(
        img_shape=SIZE, ori_shape=SIZE, pad_shape=SIZE, batch_input_shape=SIZE,
        scale_factor=(1.0, 1.0)))
    with torch.no_grad():
        return detector.predict(
            torch.randn(1, 3, *SIZE, generator=generator), [sample])[0].pred_instances


@needs_compiled
@pytest.mark.parametrize(
    'config', ['demo/maskrcnn_r18_two_stage.py', 'sartorius/maskrcnn_lite_cpu.py'])
def test_predictions_are_the_same_with_either_kind_of_operators(config, monkeypatch):
    model = Config.fromfile(str(CONFIGS / config)).model
    model.backbone.init_cfg = None
    model.test_cfg.rcnn.score_thr = 0.0
    torch.manual_seed(0)
    detector = MODELS.build(model).eval()
    expected = predict(detector)
    for name in ('mmcv.ops.nms', 'mmcv.ops.roi_align'):  # functions bear these names, too
        monkeypatch.setattr(sys.modules[name], 'ext_module', stand_in)
    found = predict(detector)
    assert len(expected) > 50
    assert torch.equal(found.bboxes, expected.bboxes)
    assert torch.equal(found.scores, expected.scores)
    assert torch.equal(found.labels, expected.labels)
    assert found.masks.to_rles() == expected.masks.to_rles()

"""Models as ONNX files: the cells that mmdet finds, by onnxruntime."""
import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample

from mmsart.apis.models import find_source
from mmsart.apis.onnx_file import OUTPUTS, _differences, export_onnx, native_size
from mmsart.cli import main
from mmsart.datasets.synthetic.generator import generate_image
from mmsart.models.exportable import ExportableDetector
from mmsart.utils import UserError
from tests.test_apis.tiny_model import write_checkpoint

SIZE = (80, 104)  # no multiple of the network's stride
onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')


def cells():
    """Another image than the one that an export traces and compares, RGB of unlike channels."""
    grey = generate_image('shsy5y', np.random.default_rng(3), *SIZE, num_cells=20).image
    return torch.from_numpy(np.stack([grey, grey // 2 + 64, grey // 4 + 96]))


@pytest.fixture(scope='module')
def mask_rcnn(tmp_path_factory):
    path = tmp_path_factory.mktemp('run') / 'epoch_1.pth'
    write_checkpoint(path, 'model.test_cfg.rpn.nms_pre=200', 'model.test_cfg.rpn.max_per_img=80')
    return find_source(path)


@pytest.fixture(scope='module')
def ported(mask_rcnn):
    """The same weights as other libraries have them: BGR, RoIAlign without the half pixel."""
    model = copy.deepcopy(mask_rcnn.model)
    model.data_preprocessor.update(
        mean=[103.53, 116.28, 123.675], std=[50.0, 57.0, 64.0], bgr_to_rgb=False, pad_value=1)
    for name in ('bbox_roi_extractor', 'mask_roi_extractor'):
        model.roi_head[name].type = 'SingleRoIExtractor'
        model.roi_head[name].roi_layer.aligned = False
    return replace(mask_rcnn, model=model)


@pytest.fixture(scope='module')
def cascade():
    source = find_source()
    source.model.flip_directions = []
    source.model.test_cfg.rpn.update(nms_pre=300, max_per_img=200)
    return source


@pytest.fixture(scope='module', params=['mask_rcnn', 'ported', 'cascade'])
def case(request, tmp_path_factory):
    """A model, its file and what mmdet finds."""
    source = request.getfixturevalue(request.param)
    path = tmp_path_factory.mktemp('onnx') / 'model.onnx'
    differences = export_onnx(source, path, SIZE)
    assert set(differences) == {'cells', *OUTPUTS}
    detector = source.build('cpu')
    detector.test_cfg.rcnn.keep_mask_logits = True
    detector.roi_head.test_cfg.keep_mask_logits = True
    sample = DetDataSample(metainfo=dict(
        img_id='a', ori_shape=SIZE, img_shape=SIZE, scale_factor=(1.0, 1.0)))
    with torch.no_grad():
        bgr = cells().flip(0)
        found = detector.test_step(dict(inputs=[bgr], data_samples=[sample]))[0].pred_instances
    order = found.scores.sort(descending=True, stable=True)[1]
    expected = [each[order].float().numpy() for each in (
        found.bboxes, found.scores, found.labels, found.mask_probs)]
    return source, path, expected


def test_onnxruntime_finds_the_cells_of_mmdet(case):
    _, path, expected = case
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    found = session.run(None, {'image': cells()[None].float().numpy()})
    assert [each.shape for each in found] == [each.shape for each in expected]
    assert len(found[0]) > 5
    assert found[3].shape[1:] == (28, 28)
    differences = _differences(found, expected, max(SIZE))
    assert differences['cells'] == 0
    assert max(differences['boxes'], differences['scores'], differences['labels']) <= 1e-4
    assert differences['masks'] <= 1e-3  # mmdet's are kept in half precision


def test_masks_agree_with_torch_in_single_precision(case):
    source, path, _ = case
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    image = cells()[None].float()
    with torch.no_grad():
        expected = [each.numpy() for each in ExportableDetector(source.build('cpu'))(image)]
    found = session.run(None, {'image': image.numpy()})
    assert max(_differences(found, expected, max(SIZE)).values()) <= 1e-4


def test_operators_are_those_of_onnx_and_the_file_says_what_it_is(case):
    source, path, _ = case
    model = onnx.load(path)
    assert {node.domain for node in model.graph.node} <= {'', 'ai.onnx'}
    assert {'NonMaxSuppression', 'RoiAlign'} <= {node.op_type for node in model.graph.node}
    properties = {each.key: each.value for each in model.metadata_props}
    assert tuple(json.loads(properties['classes'])) == source.classes
    assert json.loads(properties['postprocess']) == source.postprocess


@torch.no_grad()
def test_proposals_in_the_padding_are_left_out_as_in_mmdet(mask_rcnn):
    detector = mask_rcnn.build('cpu')
    for cfg in (detector.test_cfg.rpn, detector.rpn_head.test_cfg):
        cfg.update(nms_pre=5000, max_per_img=5000)
    image = torch.nn.functional.pad(cells()[None].float(), (0, 24, 0, 48))
    features = detector.extract_feat(image)
    sample = DetDataSample(metainfo=dict(img_shape=SIZE))
    expected = detector.rpn_head.predict(features, [sample])[0].bboxes
    limit = torch.tensor([SIZE[1], SIZE[0], SIZE[1], SIZE[0]], dtype=torch.float32)
    found = ExportableDetector(detector)._propose(features, limit)
    assert len(found) == len(expected) > 80
    found, expected = (  # scores may tie
        boxes[np.lexsort(boxes.numpy().T)] for boxes in (found, expected))
    torch.testing.assert_close(found, expected)


def test_an_image_without_cells(mask_rcnn, tmp_path):
    mask_rcnn.model.test_cfg.rcnn.score_thr = 2.0
    try:
        assert not any(export_onnx(mask_rcnn, tmp_path / 'none.onnx', SIZE).values())
        session = onnxruntime.InferenceSession(str(tmp_path / 'none.onnx'))
        found = session.run(None, {'image': cells()[None].float().numpy()})
    finally:
        mask_rcnn.model.test_cfg.rcnn.score_thr = 0.0
    assert [len(each) for each in found] == [0] * 4


def test_cells_are_compared_with_their_partners():
    rng = np.random.default_rng(0)
    one = [rng.random((6, 4)) * 90, np.full(6, 0.5), np.arange(6) % 2, rng.random((6, 2, 2))]
    order = rng.permutation(6)
    other = [each[order].copy() for each in one]
    assert max(_differences(other, one, 100).values()) == 0
    other[1][2] += 0.01
    other[0][3] += 0.1
    differences = _differences(other, one, 100)
    np.testing.assert_allclose([differences['scores'], differences['boxes']], [0.01, 0.001])
    assert _differences([each[:3] for each in other], one, 100)['cells'] == 0.5


def test_the_size_is_that_of_the_training_images(cascade, mask_rcnn):
    assert native_size(cascade) == (520, 704)
    for resize, size in (
            (dict(scale=(640, 512), keep_ratio=False), (512, 640)),
            (dict(scale=(640, 512), keep_ratio=True), (473, 640)),
            (dict(scale_factor=2.0), (1040, 1408))):
        pipeline = [*mask_rcnn.pipeline[:1], dict(type='Resize', **resize)]
        assert native_size(replace(mask_rcnn, pipeline=pipeline)) == size


@pytest.mark.parametrize(('name', 'nms'), [
    ('rcnn', dict(type='soft_nms', iou_threshold=0.3, min_score=1e-4)),
    ('rcnn', dict(type='nms', iou_threshold=0.3, class_agnostic=True)),
    ('rpn', dict(type='nms', iou_threshold=0.3, offset=1))])
def test_other_kinds_of_nms_are_named(mask_rcnn, tmp_path, name, nms):
    model = copy.deepcopy(mask_rcnn.model)
    model.test_cfg[name].nms = nms
    with pytest.raises(UserError, match=rf"model.test_cfg.{name}.nms: found .*, expected dict\("):
        export_onnx(replace(mask_rcnn, model=model), tmp_path / 'a.onnx', SIZE)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_finds_other_cells_than_mmdet_is_not_written(
        mask_rcnn, tmp_path, monkeypatch):
    right = ExportableDetector._prepare
    monkeypatch.setattr(ExportableDetector, '_prepare',
                        lambda self, image: right(self, image[:, [2, 1, 0]]))
    with pytest.raises(UserError, match=r'ONNX: .*: found a difference from torch of'):
        export_onnx(mask_rcnn, tmp_path / 'a.onnx', SIZE)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_named(mask_rcnn, tmp_path, capsys, monkeypatch):
    with pytest.raises(UserError, match=r'--size: found 16 64, expected at least 32'):
        export_onnx(mask_rcnn, tmp_path / 'a.onnx', (16, 64))
    with pytest.raises(UserError, match='model: found Conv2d, expected a two-stage detector: oth'):
        ExportableDetector(torch.nn.Conv2d(1, 1, 1))
    assert main(['export', str(tmp_path), '--size', '64', '64']) == 2
    assert 'found a folder, expected the name of a file' in capsys.readouterr().err
    assert main(['export', str(mask_rcnn.weights)]) == 2  # meant as the model to export
    assert 'expected the name of a file to write, ending in .onnx' in capsys.readouterr().err
    assert mask_rcnn.weights.stat().st_size > 1000
    monkeypatch.setitem(__import__('sys').modules, 'onnxruntime', None)
    assert main(['export', str(tmp_path / 'a.onnx')]) == 2
    assert "onnxruntime: found no such package, expected those of the extra export" \
        in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

"""True boxes in the place of found ones, in detectors of several families."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from mmsart.engine.hooks import TrueBoxesHook
from mmsart.utils import UserError
from tests.small_configs import small_config
from tests.test_models.tiny_mask_rcnn import batch


def detector_of(name):
    init_default_scope('mmdet')
    return MODELS.build(small_config(f'sartorius/{name}.py').model).eval()


@torch.no_grad()
@pytest.mark.parametrize('name', ['htc_r50', 'ms_rcnn_r50', 'point_rend_r50'])
def test_masks_are_those_of_the_true_boxes(name):
    detector, hook = detector_of(name), TrueBoxesHook()
    data = batch(True, np.random.default_rng(0))
    boxes = [[3.0, 4.0, 20.0, 30.0], [40.0, 10.0, 60.0, 50.0]]
    for sample in data['data_samples']:
        sample.set_metainfo(dict(instances=[
            dict(bbox=box, bbox_label=label) for label, box in enumerate(boxes)]))
    runner = SimpleNamespace(model=detector)
    hook.before_test(runner)
    for sample in detector.test_step(data):
        found = sample.pred_instances
        assert found.bboxes.tolist() == boxes
        assert found.labels.tolist() == [0, 1]
        assert len(found.masks) == 2
    hook.after_test(runner)
    assert 'predict_bbox' not in vars(detector.roi_head)


@pytest.mark.parametrize(('name', 'message'), [
    ('solov2_r50', 'found a model without RoI head and masks, expected both'),
    ('queryinst_r50', 'found a SparseRoIHead, whose masks come from queries, expected a RoI head')])
def test_others_are_refused(name, message):
    with pytest.raises(UserError, match=message):
        TrueBoxesHook().before_test(SimpleNamespace(model=detector_of(name)))

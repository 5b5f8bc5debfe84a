"""The dense assigner against mmdet's."""
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.models.task_modules import MaxIoUAssigner
from mmengine.structures import InstanceData

from mmsart.models import DenseMaxIoUAssigner
from mmsart.models.task_modules import dense_max_iou_assigner as module

RPN = dict(pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3)
RCNN = dict(pos_iou_thr=0.5, neg_iou_thr=(0.1, 0.5), min_pos_iou=0.5, match_low_quality=False)


def random_boxes(rng: np.random.Generator, count: int, extent: int, side: int) -> torch.Tensor:
    """Draw whole-pixel boxes, so that equal overlaps are common; some stick out on the left."""
    low = rng.integers(-side, extent, (count, 2))
    return torch.from_numpy(
        np.concatenate([low, low + rng.integers(0, side, (count, 2))], axis=1)).float()


def assert_same(priors: torch.Tensor, gts: InstanceData, **config: object) -> None:
    candidates = InstanceData(priors=priors)
    stock = MaxIoUAssigner(**config).assign(candidates, gts)
    ours = DenseMaxIoUAssigner(**config).assign(candidates, gts)
    assert ours.num_gts == stock.num_gts
    assert torch.equal(ours.gt_inds, stock.gt_inds)
    assert torch.equal(ours.max_overlaps, stock.max_overlaps)
    assert torch.equal(ours.labels, stock.labels)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), extent=st.sampled_from([20, 300]),
    num_priors=st.integers(0, 300), num_gts=st.integers(0, 30),
    config=st.sampled_from([RPN, RCNN, RPN | {'gt_max_assign_all': False}]),
)
def test_same_as_mmdet(
    seed: int, extent: int, num_priors: int, num_gts: int, config: dict,
) -> None:
    rng = np.random.default_rng(seed)
    gts = InstanceData(bboxes=random_boxes(rng, num_gts, extent, 20),
                       labels=torch.from_numpy(rng.integers(0, 3, num_gts)))
    assert_same(random_boxes(rng, num_priors, extent, 24), gts, **config)


@pytest.mark.parametrize('step', [1, -1])
def test_order_of_groups_does_not_show(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    # Three objects at a time against all anchors, as on a GPU; each object is there twice, so that
    # the best objects of an anchor are always equals, in different groups.
    def three_objects(priors: torch.Tensor, gt_bboxes: torch.Tensor) -> list:
        groups = torch.arange(len(gt_bboxes)).split(3)[::step]
        return [(gts, slice(None)) for gts in groups]

    monkeypatch.setattr(module, '_groups', three_objects)
    rng = np.random.default_rng(0)
    bboxes = random_boxes(rng, 40, 60, 20).repeat(2, 1)
    gts = InstanceData(bboxes=bboxes, labels=torch.zeros(80).long())
    priors = torch.cat([random_boxes(rng, 500, 60, 20), bboxes])
    assert_same(priors, gts, **RPN)
    assert_same(priors, gts, **RCNN)


def test_small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, 'TILE', 4)
    rng = np.random.default_rng(1)
    gts = InstanceData(bboxes=random_boxes(rng, 60, 60, 20), labels=torch.zeros(60).long())
    assert_same(random_boxes(rng, 900, 60, 20), gts, **RPN)


def test_ignored_regions_go_mmdets_way() -> None:
    rng = np.random.default_rng(0)
    candidates = InstanceData(priors=random_boxes(rng, 200, 60, 20))
    gts = InstanceData(bboxes=random_boxes(rng, 5, 60, 20), labels=torch.zeros(5).long())
    ignored = InstanceData(bboxes=torch.tensor([[10.0, 10.0, 50.0, 50.0]]))
    config = RPN | {'ignore_iof_thr': 0.5}
    stock = MaxIoUAssigner(**config).assign(candidates, gts, ignored)
    ours = DenseMaxIoUAssigner(**config).assign(candidates, gts, ignored)
    assert (stock.gt_inds == -1).any()
    assert torch.equal(ours.gt_inds, stock.gt_inds)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_cuda_agrees_with_the_cpu() -> None:
    rng = np.random.default_rng(1)
    priors = random_boxes(rng, 5000, 200, 24)
    bboxes, labels = random_boxes(rng, 100, 200, 20), torch.zeros(100).long()
    assigner = DenseMaxIoUAssigner(**RPN)
    cpu = assigner.assign(InstanceData(priors=priors), InstanceData(bboxes=bboxes, labels=labels))
    gpu = assigner.assign(InstanceData(priors=priors.cuda()),
                          InstanceData(bboxes=bboxes.cuda(), labels=labels.cuda()))
    assert torch.equal(gpu.gt_inds.cpu(), cpu.gt_inds)

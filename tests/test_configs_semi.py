"""soft_teacher_lite.py in miniature: from a plain checkpoint through a training to cells."""
import json
import math

import numpy as np
import torch
from mmdet.registry import MODELS

from mmsart.apis import CellSegmenter, train_model
from mmsart.apis.config import load_config
from mmsart.models.detectors.members import member_configs
from mmsart.weights import load_weights, read_checkpoint
from tests.sample_data import write_sample
from tests.small_configs import ROOT, shrink_model


def test_it_goes_on_from_a_plain_checkpoint_and_finds_cells(tmp_path):
    write_sample(tmp_path / 'data', 12, seed=0)
    cfg = load_config(str(ROOT / 'configs/sartorius/soft_teacher_lite.py'), [
        f'data_root={tmp_path / "data"}', 'train_dataloader.batch_size=2',
        'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
        'val_dataloader.num_workers=0', 'val_dataloader.dataset.indices=1',
        'val_dataloader.persistent_workers=False',
        'log_level=WARNING', 'default_hooks.logger.interval=1'], str(tmp_path / 'run'))
    detector, = member_configs(cfg.model)
    shrink_model(detector)
    detector.test_cfg.rcnn.score_thr = 0.0
    plain = MODELS.build(detector)
    torch.save(plain.state_dict(), tmp_path / 'plain.pth')
    cfg.load_from = str(tmp_path / 'plain.pth')
    cfg.train_cfg.val_begin = 1
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=2)
    cfg.train_cfg.stages[0].update(max_iters=2, param_scheduler=[])
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook.type != 'CurvesHook']
    cfg.model.semi_train_cfg.update(
        pseudo_label_initial_score_thr=0.0, cls_pseudo_thr=0.0, rpn_pseudo_thr=0.0,
        reg_pseudo_thr=10.0, jitter_times=2)
    train_model(cfg)
    lines = [json.loads(line) for line in next(
        (tmp_path / 'run').glob('*/vis_data/scalars.json')).open()]
    assert all(math.isfinite(line['unsup_loss_mask']) for line in lines if 'loss' in line)
    assert 'sartorius/mAP' in lines[-1]
    weights = read_checkpoint(tmp_path / 'run/iter_2.pth')['state_dict']
    name = 'neck.fpn_convs.0.conv.weight'
    began, student, teacher = (
        each.float() for each in (plain.state_dict()[name], weights[f'student.{name}'],
                                  weights[f'teacher.{name}']))
    moved = (student - began).abs().max()
    assert 0 < (teacher - began).abs().max() < 0.01 * moved  # a running average
    assert load_weights(plain, str(tmp_path / 'run/iter_2.pth')).missing == []
    assert torch.equal(plain.state_dict()[name], weights[f'teacher.{name}'])
    image = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)
    assert len(CellSegmenter(tmp_path / 'run', 'cpu')(image).masks) == 96

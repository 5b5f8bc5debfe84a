"""A Mask R-CNN of a few thousand weights and batches of round cells, for the tests of its parts."""
from typing import Any

import numpy as np
import torch
from mmdet.models.detectors import MaskRCNN
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BaseInstanceMasks, BitmapMasks
from mmengine.config import ConfigDict
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

import mmsart.models  # noqa: F401  registers our parts
from mmsart.structures.mask.cropped_masks import CroppedMasks

HEIGHT, WIDTH = 64, 96


def build(ours: bool, seed: int = 0, **mask_head: Any) -> MaskRCNN:
    """Build the detector with stock's heads and assigners or with ours, weights from the seed."""
    model = config(ours, **mask_head)
    torch.manual_seed(seed)
    detector = MODELS.build(model)
    detector.init_weights()
    return detector


def config(ours: bool, **mask_head: Any) -> ConfigDict:
    """Return the detector's config."""
    init_default_scope('mmdet')
    model = get_config('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py').model
    model.backbone.update(
        depth=18, base_channels=8, stem_channels=8, frozen_stages=-1, init_cfg=None)
    model.neck.update(in_channels=[8, 16, 32, 64], out_channels=8)
    model.rpn_head.update(in_channels=8, feat_channels=8)
    model.rpn_head.anchor_generator.update(scales=[4])
    model.roi_head.bbox_roi_extractor.update(out_channels=8)
    model.roi_head.mask_roi_extractor.update(out_channels=8)
    model.roi_head.bbox_head.update(in_channels=8, fc_out_channels=16, num_classes=3)
    model.roi_head.mask_head.update(
        dict(in_channels=8, conv_out_channels=8, num_classes=3) | mask_head)
    model.train_cfg.rpn_proposal.update(nms_pre=200, max_per_img=100)
    model.train_cfg.rcnn.sampler.update(num=64)
    model.test_cfg.rpn.update(nms_pre=200, max_per_img=100)
    model.test_cfg.rcnn.update(score_thr=0.0, max_per_img=40)
    if ours:
        model.roi_head.update(type='CroppedMaskRoIHead')
        model.roi_head.mask_head.update(type='CroppedFCNMaskHead')
        model.train_cfg.rpn.assigner.update(type='DenseMaxIoUAssigner')
        model.train_cfg.rcnn.assigner.update(type='DenseMaxIoUAssigner')
    return model


def batch(ours: bool, rng: np.random.Generator, cells: int = 15) -> dict[str, Any]:
    """Draw two images of round cells, their masks in stock's form or in ours."""
    samples = [_sample(ours, rng, cells) for _ in range(2)]
    images = [torch.from_numpy(rng.integers(0, 255, (3, HEIGHT, WIDTH), dtype=np.uint8))
              for _ in samples]
    return {'inputs': images, 'data_samples': samples}


def pictures() -> dict[str, Any]:
    """Draw the same batch each time, its images named by their number."""
    data = batch(True, np.random.default_rng(0))
    for number, sample in enumerate(data['data_samples']):
        sample.set_metainfo(dict(img_id=str(number)))
    return data


def _sample(ours: bool, rng: np.random.Generator, cells: int) -> DetDataSample:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    centres, radii = rng.uniform(0, (HEIGHT, WIDTH), (cells, 2)), rng.uniform(3, 14, cells)
    bitmaps = np.stack([
        np.hypot(y - cy, x - cx) <= r for (cy, cx), r in zip(centres, radii, strict=True)
    ]).astype(np.uint8)
    masks: BaseInstanceMasks = BitmapMasks(bitmaps, HEIGHT, WIDTH)
    if ours:
        masks = CroppedMasks.from_bitmaps(bitmaps)
    meta = dict(img_shape=(HEIGHT, WIDTH), ori_shape=(HEIGHT, WIDTH), scale_factor=(1.0, 1.0),
                pad_shape=(HEIGHT, WIDTH), batch_input_shape=(HEIGHT, WIDTH))
    sample = DetDataSample(metainfo=meta)
    sample.gt_instances = InstanceData(
        bboxes=BitmapMasks(bitmaps, HEIGHT, WIDTH).get_bboxes('hbox').tensor,
        labels=torch.from_numpy(rng.integers(0, 3, cells)), masks=masks)
    sample.ignored_instances = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    return sample

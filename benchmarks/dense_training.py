"""A detector with mmdet's parts or with ours, and a data set of one dense image to train it on."""
import copy
from typing import Any

import numpy as np
import torch
from inputs import DenseImage
from mmcv.transforms import Compose
from mmdet.models.detectors import MaskRCNN
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from pycocotools import mask as coco_mask
from torch.utils.data import Dataset

import mmsart.datasets.transforms
import mmsart.models  # noqa: F401  registers our parts
from mmsart.structures.mask.rle import kaggle_to_bitmap


def build_detector(ours: bool, depth: int, channels: int, device: str) -> MaskRCNN:
    """Build mmdet's Mask R-CNN with FPN for three classes; weights from a fixed seed.

    Args:
        ours: with our mask head and assigners in place of mmdet's.
        depth: of the ResNet.
        channels: of the pyramid and the heads; mmdet has 256.
        device: 'cpu' or 'cuda'.

    Returns:
        The detector, in training mode.
    """
    model = get_config('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py').model
    model.backbone.update(depth=depth, init_cfg=None)
    if depth < 50:
        model.neck.in_channels = [64, 128, 256, 512]
    model.neck.out_channels = channels
    model.rpn_head.update(in_channels=channels, feat_channels=channels)
    for extractor in (model.roi_head.bbox_roi_extractor, model.roi_head.mask_roi_extractor):
        extractor.out_channels = channels
    model.roi_head.bbox_head.update(in_channels=channels, num_classes=3)
    model.roi_head.mask_head.update(
        in_channels=channels, conv_out_channels=channels, num_classes=3)
    if ours:
        use_our_parts(model)
    # mmengine reports the initialisation of every weight to the current logger.
    if not MMLogger.check_instance_created('benchmarks'):
        MMLogger.get_instance('benchmarks', log_level='ERROR')
    torch.manual_seed(0)
    detector = MODELS.build(model)
    detector.init_weights()
    return detector.to(device).train()


def use_our_parts(model: Config) -> None:
    """Exchange mmdet's mask head and assigners in a model's config for ours."""
    model.roi_head.type = 'CroppedMaskRoIHead'
    model.roi_head.mask_head.type = 'CroppedFCNMaskHead'
    model.train_cfg.rpn.assigner.type = 'DenseMaxIoUAssigner'
    model.train_cfg.rcnn.assigner.type = 'DenseMaxIoUAssigner'


def build_optimizer(detector: torch.nn.Module) -> OptimWrapper:
    """Make plain SGD with a rate that keeps an untrained network finite."""
    return OptimWrapper(torch.optim.SGD(
        [weight for weight in detector.parameters() if weight.requires_grad], lr=1e-4))


class DenseDataset(Dataset):
    """One dense image, loaded from its file and annotation again for each item.

    Args:
        image: the image.
        ours: load masks as patches; else as mmdet's bitmaps.
        size: side of the square that images are resized to, in pixels.
        length: items.
    """

    def __init__(self, image: DenseImage, ours: bool, size: int, length: int) -> None:
        self.length = length
        masks = image.rles if ours else [_coco_rle(image, rle) for rle in image.rles]
        self.sample = dict(
            img_path=image.path, img_id=0, height=image.height, width=image.width,
            instances=[dict(bbox=box, bbox_label=i % 3, ignore_flag=0, mask=mask) for i, (box, mask)
                       in enumerate(zip(image.boxes.astype(float).tolist(), masks, strict=True))])
        loading = 'LoadCroppedAnnotations' if ours else 'LoadAnnotations'
        options = {} if ours else dict(with_bbox=True, with_mask=True)
        self.pipeline = Compose([
            dict(type='LoadImageFromFile'), dict(type=loading, **options),
            dict(type='Resize', scale=(size, size), keep_ratio=False),
            dict(type='RandomFlip', prob=0.5), dict(type='PackDetInputs')])

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Load item number ``index``; its flip is drawn from its own seed."""
        np.random.seed(index)
        return self.pipeline(copy.deepcopy(self.sample))


def _coco_rle(image: DenseImage, rle: str) -> dict:
    """Encode as COCO does; mmdet skips instances whose counts are bytes, so they are text."""
    bitmap = kaggle_to_bitmap(rle, (image.height, image.width))
    code = coco_mask.encode(np.asfortranarray(bitmap))
    return {'size': code['size'], 'counts': code['counts'].decode()}

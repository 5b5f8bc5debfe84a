"""From mmdet's data samples to arrays: the only door from torch to post-processing and scoring."""
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from mmengine.structures import BaseDataElement, InstanceData

from mmsart.structures.detections import Detections
from mmsart.structures.mask.cropped_masks import CroppedMasks, as_cropped
from mmsart.structures.mask.patch_masks import PatchMasks
from mmsart.structures.predictions import Predictions
from mmsart.utils.errors import UserError

Sample: TypeAlias = Mapping[str, Any] | BaseDataElement


def to_detections(sample: Sample) -> Detections:
    """Take the predicted instances out of a data sample.

    Args:
        sample: a `DetDataSample`, or the dict that metrics get, with ``pred_instances`` in the
            frame of the image on disk, ``img_id`` and ``ori_shape``.

    Returns:
        The same as arrays on the CPU.
    """
    sample = _as_dict(sample)
    found = sample['pred_instances']
    probs = found.get('mask_probs')
    return Detections(
        scores=_to_numpy(found['scores'], np.float32),
        labels=_to_numpy(found['labels'], np.int64),
        masks=as_cropped(found['masks'], *_image_size(sample)),
        bboxes=_to_numpy(found['bboxes'], np.float32),
        img_id=image_name(sample),
        mask_probs=None if probs is None else _to_numpy(probs, np.float16))


def to_instances(found: Detections, device: torch.device | str = 'cpu') -> InstanceData:
    """Put detections back into the form that mmdet hands on, the way back of `to_detections`.

    Args:
        found: of one image.
        device: of the tensors.

    Returns:
        ``bboxes``, ``scores``, ``labels``, ``masks`` (`CroppedMasks`) and, if there are any,
        ``mask_probs`` as float16.
    """
    values = dict(bboxes=found.bboxes, scores=found.scores, labels=found.labels)
    if found.mask_probs is not None:
        values['mask_probs'] = found.mask_probs.astype(np.float16)
    return InstanceData(masks=CroppedMasks.like(found.masks), **{
        name: torch.from_numpy(value).to(device) for name, value in values.items()})


def to_predictions(sample: Sample, classes: Sequence[str]) -> Predictions:
    """Take the predicted and the true instances out of a data sample.

    Args:
        sample: see :func:`to_detections`; for the truth see :func:`true_masks`. ``cell_type`` and
            ``sample_id`` are taken over where the sample has them.
        classes: names in label order.

    Returns:
        Detections and truth on the CPU.
    """
    sample = _as_dict(sample)
    return Predictions(
        to_detections(sample), true_masks(sample), cell_type(sample, classes),
        str(sample.get('sample_id', '')))


def true_masks(sample: Sample) -> PatchMasks | None:
    """Take the true masks out of a data sample, in the frame of the image on disk.

    Args:
        sample: a data sample or its dict. The truth is what the dataset annotated, if
            ``instances`` is among the ``meta_keys`` of PackDetInputs (masks as Kaggle's run-length
            code or COCO's polygons and RLE); else the masks of ``gt_instances``, which a test
            pipeline may load after resizing, as mmdet's own configs do. Ignored instances, such as
            COCO's crowds, are left out.

    Returns:
        The true instances; None if the sample has neither.

    Raises:
        UserError: an instance has no mask.
    """
    sample = _as_dict(sample)
    size = _image_size(sample)
    if 'instances' in sample:
        instances = [each for each in sample['instances'] if not each.get('ignore_flag')]
        for number, instance in enumerate(instances):
            if 'mask' not in instance:
                raise UserError(f'image {image_name(sample)}: instance {number} has no mask, '
                                'expected a segmentation for each')
        return PatchMasks.from_annotations([each['mask'] for each in instances], *size)
    truth = sample.get('gt_instances')
    return None if truth is None or 'masks' not in truth else as_cropped(truth['masks'], *size)


def image_name(sample: Mapping[str, Any]) -> str:
    """Name an image as its data set does; where that only counts images, as its file is named."""
    if 'image_name' in sample:
        return str(sample['image_name'])
    name = sample['img_id']
    if isinstance(name, str) or 'img_path' not in sample:
        return str(name)
    return Path(sample['img_path']).stem


def distinct_names(names: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Tell apart images whose files have one name, as in the folders of a COCO data set.

    Args:
        names: of :func:`image_name`.
        paths: of the same images' files; empty where there are none.

    Returns:
        The names, none twice: those of several files have as many of their folders in front as
        tell them apart, as in ``plate_well``; what is still one name, as where joined data sets
        have an image in common, is counted, as in ``well-2``.
    """
    keys = list(zip(names, paths, strict=True))
    found = _with_folders(keys)
    distinct: list[str] = []
    taken = set(found.values())
    seen: set[str] = set()
    for key in keys:
        name = found[key]
        if name in seen:
            name = next(each for number in itertools.count(2)
                        if (each := f'{found[key]}-{number}') not in taken)
            taken.add(name)
        seen.add(name)
        distinct.append(name)
    return distinct


def _with_folders(keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Put folders in front of the names that several of the pairs of name and path have."""
    found = {key: key[0] for key in keys}
    folders = {key: [part for part in Path(key[1]).parts[:-1] if part != Path(key[1]).anchor]
               for key in found}
    for depth in range(1, 1 + max(map(len, folders.values()), default=0)):
        counts = Counter(found.values())
        for key, name in found.items():
            if counts[name] > 1 and depth <= len(folders[key]):
                found[key] = f'{folders[key][-depth]}_{name}'
    return found


def cell_type(sample: Sample, classes: Sequence[str]) -> str:
    """Return the type that the dataset names, else the class that all true instances share.

    Args:
        sample: see :func:`to_predictions`.
        classes: names in label order.

    Returns:
        A name; empty where there is neither.
    """
    sample = _as_dict(sample)
    if 'cell_type' in sample:
        return str(sample['cell_type'])
    if 'instances' in sample:
        labels = {each['bbox_label'] for each in sample['instances']}
    else:
        labels = set(_to_numpy(sample.get('gt_instances', {}).get('labels', []), np.int64).tolist())
    if len(classes) == 1:
        return classes[0]
    return classes[labels.pop()] if len(labels) == 1 else ''


def _as_dict(sample: Sample) -> Mapping[str, Any]:
    return sample.to_dict() if isinstance(sample, BaseDataElement) else sample


def _image_size(sample: Mapping[str, Any]) -> tuple[int, int]:
    height, width = sample['ori_shape'][:2]
    return int(height), int(width)


def _to_numpy(values: Any, dtype: type) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values, dtype)

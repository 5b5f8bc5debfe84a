"""Recognising whose checkpoint a file is, and naming its weights as mmdet does."""
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np
import torch

from mmsart.utils import UserError
from mmsart.weights.keys_detectron2 import import_detectron2
from mmsart.weights.keys_imagenet import import_lite, import_mobilenet, import_resnet
from mmsart.weights.keys_mmdet import import_mmdet_v1
from mmsart.weights.keys_torchvision import import_torchvision_v1, import_torchvision_v2
from mmsart.weights.renaming import StateDict
from mmsart.weights.safe_load import read_checkpoint


@dataclass
class ImportedWeights:
    """Weights in mmdet's naming.

    Attributes:
        source: whose format the file had, such as ``torchvision maskrcnn_resnet50_fpn``.
        state_dict: the weights under mmdet's names.
        ignored: names in the file that no mmdet module has a place for.
    """

    source: str
    state_dict: StateDict
    ignored: list[str] = field(default_factory=list)


Reader = Callable[[StateDict], tuple[StateDict, list[str]]]

MMDET = 'mmdet'
# One row per format: its name, a key that only it has, with or without a prefix (the first row that
# fits counts), its reader.
FORMATS: list[tuple[str, str, Reader]] = [
    ('torchvision maskrcnn_resnet50_fpn_v2', 'backbone.fpn.inner_blocks.0.1.running_mean',
     import_torchvision_v2),
    ('torchvision maskrcnn_resnet50_fpn', 'roi_heads.box_head.fc6.weight', import_torchvision_v1),
    ('Detectron2', 'backbone.bottom_up.stem.conv1.weight', import_detectron2),
    ('mmdet 1.x', 'bbox_head.fc_cls.weight', import_mmdet_v1),
    ('ImageNet EfficientNet-Lite', '_blocks.0._depthwise_conv.weight', import_lite),
    ('ImageNet MobileNetV2', 'features.18.0.weight', import_mobilenet),
    ('ImageNet ResNet', 'layer1.0.conv1.weight', import_resnet),
]
# Where programs put a state dict beside its optimizer; weights of a running average come after.
WRAPPERS = ('state_dict', 'model_state_dict', 'model', 'net', 'network', 'weights')
DEEPEST = 2  # levels of dictionaries around a state dict
# Modules that torch puts between a module and its owner: compile, FSDP, activation checkpoints.
INNER_WRAPPERS = re.compile(
    r'(?:(?<=\.)|^)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.')
# What a model is called by the object that owns it; a running average has longer names.
OWNERS = {'model', 'module', 'net', 'network', 'detector'}
# In the meta data of programs that save a model under its own names: nothing is taken off these.
FAITHFUL = ('mmengine_version', 'mmcv_version', 'mmdet_version')


def import_checkpoint(path: str | PathLike, map_location: Any = 'cpu') -> ImportedWeights:
    """Read a checkpoint of any supported library as weights for mmdet.

    Args:
        path: a file of torchvision, mmdet, Detectron2 or an ImageNet classifier.
        map_location: device of the weights.

    Returns:
        The weights in mmdet's naming.

    Raises:
        UserError: the file is damaged, wants to run code, is of no known format, or its training
            has diverged.
    """
    return import_content(read_checkpoint(path, map_location), str(path))


def import_content(content: Mapping[str, Any], name: str) -> ImportedWeights:
    """Do what :func:`import_checkpoint` does, for the dictionary that was in the file."""
    source = bare_state_dict(content)
    if not source:
        raise UserError(f'{name}: expected weights, found a dictionary without any tensor')
    _check_finite(source, name)
    meta = content.get('meta')
    faithful = isinstance(meta, Mapping) and any(key in meta for key in FAITHFUL)
    for label, mark, reader in FORMATS:
        prefix = _prefix_before(mark, source)
        if prefix == '' or (prefix and not faithful):
            own, others = _split_off(prefix, source)
            weights, ignored = reader(own)
            return ImportedWeights(label, weights, ignored + others)
    own, others = _split_off('' if faithful else _prefix_before_backbone(source), source)
    return ImportedWeights(MMDET, own, others)


def _check_finite(weights: StateDict, name: str) -> None:
    """Refuse what a training that diverged leaves; its detector finds nothing, without a word."""
    for key, value in weights.items():
        if not value.is_floating_point() or value.is_meta:  # without values, for their shapes
            continue
        if not (finite := torch.isfinite(value)).all():
            raise UserError(
                f'{name}: {key}: found {value.numel() - int(finite.sum()):,} of '
                f'{value.numel():,} values that are not finite, expected weights of a training '
                'that did not diverge')


def bare_state_dict(content: Mapping[str, Any]) -> StateDict:
    """Take the weights out of their wrapping.

    Args:
        content: a state dict, or a dictionary that holds one, under one of :data:`WRAPPERS` or
            another name; values are tensors or NumPy arrays.

    Returns:
        Name to tensor, without the modules that data-parallel training and compilation add.
    """
    return {INNER_WRAPPERS.sub('', key).removeprefix('module.'): value
            for key, value in _find_state_dict(content, DEEPEST).items()}


def _find_state_dict(content: Mapping[str, Any], depth: int) -> StateDict:
    """Search the dictionaries in `content`, those of a known name first."""
    inner = [content[name] for name in WRAPPERS if name in content]
    own = _tensors_of(content)
    if not own:
        inner += sorted(
            (value for value in content.values() if isinstance(value, Mapping)),
            key=lambda value: -len(_tensors_of(value)))
    for candidate in inner if depth else ():
        if isinstance(candidate, Mapping) and (found := _find_state_dict(candidate, depth - 1)):
            return found
    return own


def _tensors_of(content: Mapping[str, Any]) -> StateDict:
    weights = {}
    for key, value in content.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in 'fiub':
            plain = np.ascontiguousarray(value, value.dtype.newbyteorder('='))
            value = torch.from_numpy(plain.reshape(value.shape))  # a number becomes a row of one
        if isinstance(key, str) and isinstance(value, torch.Tensor):
            weights[key] = value
    return weights


def _prefix_before(mark: str, source: StateDict) -> str | None:
    """Return what stands before a format's mark: '' or the owner's name with a dot; None if absent.

    A name such as ``backbone.layer1.0.conv1.weight`` ends in an ImageNet classifier's mark, but
    is a detector's.
    """
    prefixes = [key.removesuffix(mark) for key in source if f'.{key}'.endswith(f'.{mark}')]
    return min((prefix for prefix in prefixes
                if not {'backbone', 'roi_head'} & set(prefix.split('.'))), key=len, default=None)


def _prefix_before_backbone(source: StateDict) -> str:
    """Return the owner's name before mmdet's ``backbone.``.

    '' where there is none, or where the model itself holds several networks, as a teacher and a
    student.
    """
    prefixes = {found[1] for key in source
                if (found := re.match(r'((?:\w+\.)*?)backbone\.', key))}
    if len(prefixes) > 1:
        prefixes = {prefix for prefix in prefixes if set(prefix.split('.')[:-1]) <= OWNERS}
    return prefixes.pop() if len(prefixes) == 1 else ''


def _split_off(prefix: str, source: StateDict) -> tuple[StateDict, list[str]]:
    """Return the weights under a prefix, without it, and the names of the others."""
    return ({key.removeprefix(prefix): value for key, value in source.items()
             if key.startswith(prefix)},
            [key for key in source if not key.startswith(prefix)])

"""Recognising whose checkpoint a file is, and naming its weights as mmdet does."""
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np
import torch

from mmsart.utils import UserError
from mmsart.weights.keys_detectron2 import import_detectron2
from mmsart.weights.keys_imagenet import import_lite0, import_mobilenet, import_resnet
from mmsart.weights.keys_mmdet import import_mmdet, import_mmdet_v1
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
# One row a format: its name, a key that only it has (the first row that fits counts), its reader.
FORMATS: list[tuple[str, str, Reader]] = [
    ('torchvision maskrcnn_resnet50_fpn_v2', 'backbone.fpn.inner_blocks.0.1.running_mean',
     import_torchvision_v2),
    ('torchvision maskrcnn_resnet50_fpn', 'roi_heads.box_head.fc6.weight', import_torchvision_v1),
    ('Detectron2', 'backbone.bottom_up.stem.conv1.weight', import_detectron2),
    ('mmdet 1.x', 'bbox_head.fc_cls.weight', import_mmdet_v1),
    ('ImageNet EfficientNet-Lite0', '_blocks.0._depthwise_conv.weight', import_lite0),
    ('ImageNet MobileNetV2', 'features.18.0.weight', import_mobilenet),
    ('ImageNet ResNet', 'layer1.0.conv1.weight', import_resnet),
]


def import_checkpoint(path: str | PathLike, map_location: Any = 'cpu') -> ImportedWeights:
    """Read a checkpoint of any supported library as weights for mmdet.

    Args:
        path: a file of torchvision, mmdet, Detectron2 or an ImageNet classifier.
        map_location: device of the weights.

    Returns:
        The weights in mmdet's naming.

    Raises:
        UserError: the file is damaged, wants to run code, or is of no known format.
    """
    return import_content(read_checkpoint(path, map_location), str(path))


def import_content(content: Mapping[str, Any], name: str) -> ImportedWeights:
    """Do what :func:`import_checkpoint` does, for the dictionary that was in the file."""
    source = bare_state_dict(content)
    if not source:
        raise UserError(f'{name}: expected weights, found a dictionary without any tensor')
    for label, mark, reader in FORMATS:
        if mark in source:
            return ImportedWeights(label, *reader(source))
    return ImportedWeights(MMDET, *import_mmdet(source))


def bare_state_dict(content: Mapping[str, Any]) -> StateDict:
    """Take the weights out of their wrapping.

    Args:
        content: a state dict, or a dictionary with one under ``state_dict`` or ``model``; values
            are tensors or NumPy arrays.

    Returns:
        Name to tensor, without the ``module.`` that data-parallel training adds.
    """
    for wrapper in ('state_dict', 'model'):
        if isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    weights = {}
    for key, value in content.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in 'fiub':
            value = torch.from_numpy(np.ascontiguousarray(value))
        if isinstance(key, str) and isinstance(value, torch.Tensor):
            weights[key.removeprefix('module.')] = value
    return weights

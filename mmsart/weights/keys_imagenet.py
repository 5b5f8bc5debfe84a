"""Key names of ImageNet classifiers, turned into those of mmdet's backbones."""
import re

from mmsart.utils import UserError
from mmsart.weights.renaming import StateDict

# Blocks of the flat list in each of mmdet's stages 1 to 5, by the number of all blocks
# (EfficientNet-Lite0 and -Lite2) ...
LITE_STAGES = {16: (1, 2, 2, 6, 5), 21: (1, 3, 3, 8, 6)}
# ... and in its layers 1 to 7 (MobileNetV2).
MOBILENET_STAGES = (1, 2, 3, 4, 3, 3, 1)
BLOCK_PARTS = ('expand_conv', 'depthwise_conv', 'linear_conv')


def _stage_of(block: int, stages: tuple[int, ...]) -> tuple[int, int]:
    """Number of the stage, from 1, and of the block in it, from 0."""
    for number, count in enumerate(stages, 1):
        if block < count:
            return number, block
        block -= count
    raise KeyError(block)


def lite_key(key: str, stages: tuple[int, ...]) -> str | None:
    """Name a key of a TensorFlow-style EfficientNet-Lite as mmdet's EfficientNet does.

    Args:
        key: such as ``_blocks.3._bn0.weight``.
        stages: blocks in each of the stages 1 to 5.

    Returns:
        Such as ``layers.3.0.expand_conv.bn.weight``; None for the classifier.
    """
    ends = {'_conv_stem': 'layers.0.conv', '_bn0': 'layers.0.bn',
            '_conv_head': 'layers.6.conv', '_bn1': 'layers.6.bn'}
    head, _, leaf = key.rpartition('.')
    if head in ends:
        return f'{ends[head]}.{leaf}'
    found = re.fullmatch(r'_blocks\.(\d+)\._(expand_conv|depthwise_conv|project_conv|bn(\d))', head)
    if not found:
        return None
    stage, place = _stage_of(int(found[1]), stages)
    if found[3]:
        part, kind = BLOCK_PARTS[int(found[3])], 'bn'
    else:
        part, kind = found[2].replace('project', 'linear'), 'conv'
    return f'layers.{stage}.{place}.{part}.{kind}.{leaf}'


def mobilenet_key(key: str, nested: bool) -> str | None:
    """Name a key of MobileNetV2 as mmdet does.

    Args:
        key: such as ``features.2.conv.4.weight`` or, nested, ``features.2.conv.1.1.weight``.
        nested: convolution and normalisation are grouped in a block (torchvision), or lie in one
            flat row with the activations.

    Returns:
        Such as ``layer2.0.depthwise_conv.bn.weight``; None for the classifier.
    """
    found = re.fullmatch(r'features\.(\d+)\.(conv\.)?([\d.]+)\.(\w+)', key)
    if not found:
        return None
    block, inner, leaf = int(found[1]), found[3], found[4]
    if not found[2]:
        if block not in (0, 18) or inner not in ('0', '1'):
            return None
        return f'conv{1 if block == 0 else 2}.{("conv", "bn")[int(inner)]}.{leaf}'
    stage, place = _stage_of(block - 1, MOBILENET_STAGES)
    parts = BLOCK_PARTS[1:] if block == 1 else BLOCK_PARTS  # the first block does not expand
    if '.' in inner:  # a group of (convolution, norm, activation)
        part, kind = (int(number) for number in inner.split('.'))
    elif nested:  # the last convolution and its norm stand alone behind the groups
        part, kind = len(parts) - 1, int(inner) - len(parts) + 1
    else:  # convolution, norm, activation, convolution ...
        part, kind = divmod(int(inner), 3)
    return f'layer{stage}.{place}.{parts[part]}.{("conv", "bn")[kind]}.{leaf}'


def import_lite(source: StateDict) -> tuple[StateDict, list[str]]:
    """Rename EfficientNet-Lite0 or -Lite2 for our :class:`EfficientNetLite`.

    Returns:
        The weights, and the names without a place in the backbone: the classifier's.

    Raises:
        UserError: it is another of the family.
    """
    blocks = len({key.split('.')[1] for key in source if key.startswith('_blocks.')})
    if blocks not in LITE_STAGES:
        raise UserError(f'found an EfficientNet of {blocks} blocks, expected Lite0 with 16 or '
                        'Lite2 with 21')
    return _renamed(source, {key: lite_key(key, LITE_STAGES[blocks]) for key in source})


def import_mobilenet(source: StateDict) -> tuple[StateDict, list[str]]:
    """Rename MobileNetV2 for mmdet's class; the classifier has no place."""
    nested = 'features.1.conv.0.0.weight' in source
    return _renamed(source, {key: mobilenet_key(key, nested) for key in source})


def import_resnet(source: StateDict) -> tuple[StateDict, list[str]]:
    """Take a ResNet of torchvision or timm, whose names mmdet shares; the classifier has no place.
    """
    return _renamed(source, {key: None if key.startswith('fc.') else key for key in source})


def _renamed(source: StateDict, names: dict[str, str | None]) -> tuple[StateDict, list[str]]:
    return ({name: source[key] for key, name in names.items() if name},
            [key for key, name in names.items() if not name])

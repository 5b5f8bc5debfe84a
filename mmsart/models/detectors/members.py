"""The detectors inside a model that asks others."""
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn


def detectors_of(model: nn.Module) -> list[nn.Module]:
    """List the detectors that a model asks in a test.

    Args:
        model: a detector, or one with ``members``: an ensemble, or one that looks at several views.

    Returns:
        The members, and theirs, else the model itself.
    """
    return list(detectors_by_key(model).values())


def detectors_by_key(model: nn.Module, key: str = 'model') -> dict[str, nn.Module]:
    """Tell where the configs of the detectors stand that a model asks in a test.

    Args:
        model: as for :func:`detectors_of`.
        key: of its own config.

    Returns:
        The detectors by keys such as ``model.members.0`` or ``model.detector``.
    """
    members = getattr(model, 'members', None)
    if members is None:
        return {key: model}
    keys = ([f'members.{number}' for number in range(len(members))]
            if isinstance(members, nn.ModuleList) else ['detector'])
    found: dict[str, nn.Module] = {}
    for name, member in zip(keys, members, strict=True):
        found |= detectors_by_key(member, f'{key}.{name}')
    return found


def member_configs(model: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the configs of the detectors that a model asks, those of :func:`detectors_of`.

    Args:
        model: its config.

    Yields:
        ``members``, ``detector``, and theirs, else the config itself.
    """
    if 'members' in model:
        for each in model['members']:
            yield from member_configs(each)
    elif 'detector' in model:
        yield from member_configs(model['detector'])
    else:
        yield model


def keep_masks_to_cut(model: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Have the detectors keep the probabilities of masks where a threshold is to cut them.

    Args:
        model: config of the model, see :func:`keep_soft_masks`.
        settings: complete settings of post-processing; without a ``mask_thr`` nothing changes.
    """
    if any(thr is not None for thr in settings['mask_thr'].values()):
        keep_soft_masks(model)


def keep_soft_masks(model: Mapping[str, Any]) -> None:
    """Have the detectors that a model asks keep the probabilities of their masks.

    Args:
        model: its config; each ``test_cfg.rcnn`` in it gets ``keep_mask_logits``.
    """
    for detector in member_configs(model):
        rcnn = (detector.get('test_cfg') or {}).get('rcnn')
        if rcnn is not None:
            rcnn['keep_mask_logits'] = True

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
    members = getattr(model, 'members', None)
    if members is None:
        return [model]
    return [detector for member in members for detector in detectors_of(member)]


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

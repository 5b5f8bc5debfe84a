"""Data sets within those that wrap them, in a config."""
from collections.abc import Iterator, Mapping
from typing import Any

INNER = ('dataset', 'datasets')
"""Keys under which a data set has those that it wraps."""


def walk_datasets(loader: Any) -> Iterator[Any]:
    """Walk through a data loader's config, yielding its data sets and their wrappers.

    Args:
        loader: the config of a data loader; nothing comes of one that is no dict.
    """
    parts = [loader.get('dataset')] if isinstance(loader, Mapping) else []
    while parts:
        part = parts.pop(0)
        if isinstance(part, list | tuple):
            parts += part
        elif isinstance(part, Mapping):
            yield part
            parts += [part[key] for key in INNER if key in part]


def find_datasets(loader: Any) -> Iterator[Any]:
    """Walk through a data loader's config, yielding its data sets without their wrappers.

    Args:
        loader: the config of a data loader; nothing comes of one that is no dict.
    """
    return (part for part in walk_datasets(loader) if not is_wrapper(part))


def is_wrapper(config: Mapping[str, Any]) -> bool:
    """Tell whether the config of a data set wraps others."""
    return any(key in config for key in INNER)

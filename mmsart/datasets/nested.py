"""Data sets within those that wrap them, in a config."""
from collections.abc import Iterator, Mapping
from typing import Any


def find_datasets(loader: Any) -> Iterator[Any]:
    """Walk through a data loader's config, yielding its data sets without their wrappers.

    Args:
        loader: the config of a data loader; nothing comes of one that is no dict.
    """
    parts = [loader.get('dataset')] if isinstance(loader, Mapping) else []
    while parts:
        part = parts.pop(0)
        if isinstance(part, list | tuple):
            parts += part
        elif isinstance(part, Mapping):
            inner = [part[key] for key in ('dataset', 'datasets') if key in part]
            parts += inner
            if not inner:
                yield part

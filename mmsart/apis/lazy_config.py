"""Configs in mmengine's newer style, which import classes where others write their names."""
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.utils import get_object_from_string

from mmsart.registry import REGISTRIES

DEFAULT_SCOPE = 'mmdet'


def is_lazy(cfg: Config) -> bool:
    """Tell whether a config was read from a file of the newer style (``read_base()``)."""
    return bool(cfg._imported_names)


def with_names(cfg: Config) -> Config:
    """Write the names of classes in a config of the newer style, as in any other.

    Args:
        cfg: the config.

    Returns:
        The same with a text as each ``type``: the short one of what is registered under it, else
        with its modules, as ``package.module.Class``.
    """
    parts = _shorten(cfg.to_dict())
    if parts.get('default_scope', DEFAULT_SCOPE) is None:  # classes need none, names do
        parts['default_scope'] = DEFAULT_SCOPE
    return Config(parts, cfg_text=cfg.text, filename=cfg.filename)


def _shorten(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {key: _short_name(value) if key == 'type' and isinstance(value, str)
                else _shorten(value) for key, value in node.items()}
    return type(node)(map(_shorten, node)) if isinstance(node, list | tuple) else node


def _short_name(name: str) -> str:
    """Return the last part of a dotted name, if that is what a registry knows its object by."""
    short = name.rpartition('.')[2]
    if short == name:
        return name
    found = get_object_from_string(name)
    return short if any(each.parent.get(short) is found for each in REGISTRIES) else name

"""The settings of the post-processing: their names, ranges and defaults."""
from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmsart.utils import UserError, read_json


@dataclass(frozen=True)
class Option:
    """One setting: its default and what it may be.

    Args:
        default: the value that changes nothing, or the safe one.
        kind: bool, int, float or str.
        low: minimum.
        high: maximum.
        choices: the values of a str.
        optional: whether None, for "off", is allowed.
        per_class: whether each class may have its own value.
    """

    default: Any
    kind: type
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    optional: bool = False
    per_class: bool = True

    def expected(self) -> str:
        """Describe in words what is allowed."""
        if self.choices:
            text = 'one of ' + ', '.join(repr(choice) for choice in self.choices)
        elif self.kind is bool:
            text = 'true or false'
        else:
            name = 'an integer' if self.kind is int else 'a number'
            text = (f'{name} in [{self.low:g}, {self.high:g}]' if math.isfinite(self.high)
                    else f'{name} >= {self.low:g}')
        return text + (' or null' if self.optional else '')

    def admits(self, value: Any) -> bool:
        """Return whether a single value is allowed."""
        if value is None:
            return self.optional
        if self.choices:
            return value in self.choices
        if self.kind is bool or isinstance(value, bool):
            return self.kind is bool and isinstance(value, bool)
        if not isinstance(value, (int, float)) or not abs(value) <= sys.float_info.max:
            return False
        return self.low <= value <= self.high and (self.kind is float or value == int(value))


OPTIONS = {
    'vote': Option('off', str, choices=('off', 'drop', 'relabel'), per_class=False),
    'vote_min_score': Option(0.0, float, 0, 1, per_class=False),
    'score_thr': Option(0.0, float, 0, 1),
    'mask_thr': Option(None, float, 0.01, 1, optional=True),
    'fill_holes': Option(False, bool),
    'largest_component': Option(False, bool),
    'min_area': Option(0, int, 0),
    'max_area': Option(None, int, 1, optional=True),
    'nms_iou_thr': Option(None, float, 0, 1, optional=True),
    'remove_overlap': Option(True, bool, per_class=False),
    'max_lost_share': Option(1.0, float, 0, 1),
    'pieces': Option('keep', str, choices=('keep', 'largest', 'drop')),
}
"""Every setting, in the order in which the stages run; docs/postprocessing.md explains each."""


def complete_config(
        config: Mapping[str, Any], classes: Sequence[str],
        source: str = 'postprocess') -> dict[str, Any]:
    """Check settings and fill in the defaults.

    Args:
        config: settings by name; a setting of a class may be a scalar for all classes or a dict
            with one value for each class.
        classes: class names in label order.
        source: what to call the settings in a message: a file or a key.

    Returns:
        All settings of :data:`OPTIONS`; per-class ones as a dict by class name.

    Raises:
        UserError: an unknown name, a missing or unknown class, a value out of range.
    """
    if not isinstance(config, Mapping):
        raise UserError(f'{source}: expected settings by name, found {type(config).__name__}')
    unknown = [name for name in config if name not in OPTIONS]
    if unknown:
        raise UserError(
            f'{source}: unknown setting {unknown[0]!r}, expected one of {", ".join(OPTIONS)}')
    return {
        name: _complete_option(name, option, config.get(name, option.default), classes, source)
        for name, option in OPTIONS.items()}


def _complete_option(
        name: str, option: Option, value: Any, classes: Sequence[str], source: str) -> Any:
    if not option.per_class:
        return _checked(f'{source}: {name}', option, value)
    if not isinstance(value, Mapping):
        checked = _checked(f'{source}: {name}', option, value)
        return dict.fromkeys(classes, checked)
    if set(value) != set(classes):
        raise UserError(
            f'{source}: {name}: expected a value for each of {", ".join(classes)}, found values '
            f'for {", ".join(map(str, value)) or "none"}')
    return {cls: _checked(f'{source}: {name}.{cls}', option, value[cls]) for cls in classes}


def _checked(place: str, option: Option, value: Any) -> Any:
    if not option.admits(value):
        raise UserError(f'{place}: expected {option.expected()}, found {value!r}')
    return value if value is None else option.kind(value)


def check_disjoint(settings: Mapping[str, Any], place: str | os.PathLike) -> None:
    """Refuse settings that leave masks of one image with pixels in common.

    Args:
        settings: complete ones.
        place: the file or option that they are for, which the message begins with.

    Raises:
        UserError: overlap is not removed.
    """
    if not settings['remove_overlap']:
        raise UserError(f'{place}: post-processing has remove_overlap off, expected it on, since '
                        'the masks of a submission must not share a pixel')


def load_postprocess(
        config: Mapping[str, Any] | str | os.PathLike | None,
        classes: Sequence[str]) -> dict[str, Any]:
    """Read settings from a dict or from the JSON file that the tuner writes.

    Args:
        config: settings by name, the path of a JSON file of them, or None for the defaults.
        classes: class names in label order.

    Returns:
        The complete settings, ready for ``PostProcessor(classes, **settings)``.

    Raises:
        MissingFileError: there is no such file.
        UserError: the file is no JSON object, or a setting is wrong.
    """
    if config is None:
        return complete_config({}, classes)
    if isinstance(config, Mapping):
        return complete_config(config, classes)
    loaded = read_json(config, 'post-processing settings as JSON')
    return complete_config(loaded, classes, source=str(config))

"""Tables of regular expressions that rename weights, shared by the formats."""
import re
from collections.abc import Iterable

import torch

StateDict = dict[str, torch.Tensor]
Rule = tuple[str, str]


class Renamer:
    """Rename keys by the first rule whose pattern matches the whole key.

    Args:
        rules: pattern and replacement, as `re.sub` takes them. An empty replacement drops the
            key on purpose.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = [(re.compile(pattern), replacement) for pattern, replacement in rules]

    def name(self, key: str) -> str | None:
        """Return the new name; an empty string to drop the key, None if no rule knows it."""
        for pattern, replacement in self.rules:
            if found := pattern.fullmatch(key):
                return found.expand(replacement) if replacement else ''
        return None

    def rename(self, source: StateDict) -> tuple[StateDict, list[str]]:
        """Rename a whole state dict.

        Returns:
            The weights under their new names, and the names that no rule knows.
        """
        renamed, unknown = {}, []
        for key, value in source.items():
            name = self.name(key)
            if name:
                renamed[name] = value
            elif name is None:
                unknown.append(key)
        return renamed, unknown


def background_to_end(weights: StateDict) -> StateDict:
    """Turn the class order 'background first' into mmdet's, where it comes last.

    Args:
        weights: in mmdet's naming; the box classifier has a row for each class and background.
            Box regression has four rows for background, mask prediction a channel; these are
            dropped.

    Returns:
        The weights with the class layers changed.
    """
    weights = dict(weights)
    for leaf in ('weight', 'bias'):
        for name, first in (('bbox_head.fc_reg', 4), ('mask_head.conv_logits', 1)):
            key = f'roi_head.{name}.{leaf}'
            if key in weights:
                weights[key] = weights[key][first:].clone()  # a view would be saved whole
        key = f'roi_head.bbox_head.fc_cls.{leaf}'
        if key in weights:
            weights[key] = weights[key].roll(-1, dims=0)
    return weights
